"""A run in other shapes: the reference's result file, a table of answers, logs of the iterations."""

from tpo.export.formats import EXPORTERS, Exporter
from tpo.export.logs import export_logs
from tpo.export.reference import export_reference
from tpo.export.results import export_results
from tpo.export.writing import Exported

__all__ = ["EXPORTERS", "Exported", "Exporter", "export_logs", "export_reference", "export_results"]
