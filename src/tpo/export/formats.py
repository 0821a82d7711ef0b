"""The exports by the names that the command line knows them by."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from tpo.export.logs import export_logs
from tpo.export.reference import export_reference
from tpo.export.results import export_results
from tpo.export.writing import Exported
from tpo.types import Trajectory

Exporter = Callable[[Iterable[Trajectory], Path], Exported]

EXPORTERS: Mapping[str, Exporter] = MappingProxyType(
    {"reference": export_reference, "results": export_results, "logs": export_logs}
)
