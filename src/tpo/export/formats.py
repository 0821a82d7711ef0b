"""The exports by the names that the command line knows them by."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from tpo.export.answers import export_sft
from tpo.export.atomic_writer import Exported
from tpo.export.logs import export_logs
from tpo.export.preferences import export_dpo
from tpo.export.reference import export_reference
from tpo.export.results import export_results
from tpo.types import Trajectory

Exporter = Callable[[Iterable[Trajectory], Path], Exported]

EXPORTERS: Mapping[str, Exporter] = MappingProxyType(
    {
        "results": export_results,
        "dpo": export_dpo,
        "sft": export_sft,
        "reference": export_reference,
        "logs": export_logs,
    }
)
"""As they are without options; ``dpo`` and ``sft`` take some."""
