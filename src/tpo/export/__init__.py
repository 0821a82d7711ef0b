"""A run in other shapes: answers as a table, training sets, the reference's result file, logs."""

from tpo.export.answers import export_sft
from tpo.export.atomic_writer import Exported
from tpo.export.eligible import Eligible, Steps
from tpo.export.formats import EXPORTERS, Exporter
from tpo.export.logs import export_logs
from tpo.export.order import read_in_order
from tpo.export.pairing import Pairing, Preference
from tpo.export.preferences import export_dpo
from tpo.export.reference import export_reference
from tpo.export.results import export_results
from tpo.export.training import Models

__all__ = [
    "EXPORTERS",
    "Eligible",
    "Exported",
    "Exporter",
    "Models",
    "Pairing",
    "Preference",
    "Steps",
    "export_dpo",
    "export_logs",
    "export_reference",
    "export_results",
    "export_sft",
    "read_in_order",
]
