"""Data of recorded runs, where it is still here and unchanged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tpo.config.settings import DATA_OPTIONS
from tpo.data import ReadOptions
from tpo.data.sources import STANDARD_INPUT, single_or_several
from tpo.errors import TpoError
from tpo.runs.inputs import RunInput, SourceInput
from tpo.runs.shards import Shard, ShardInput
from tpo.store import RunRecord
from tpo.types import Query


class RecordedData:
    """Data of runs by their records, opened only when it is asked for, and once for equal sources."""

    def __init__(self) -> None:
        self._unchanged: dict[SourceInput, bool] = {}

    def of(self, record: RunRecord) -> RunInput | None:
        """Return the data of a run of *record*; None if it has changed or cannot be read again."""
        options: dict[str, Any] = {name: record.configuration.get(name) for name in DATA_OPTIONS}
        named = record.configuration.get("data", "")
        names = [named] if isinstance(named, str) else named
        source = SourceInput(single_or_several(names), ReadOptions(**options))
        if source not in self._unchanged:
            self._unchanged[source] = STANDARD_INPUT not in names and _is_unchanged(source, record)
        return source if self._unchanged[source] else None

    def of_shard(self, record: RunRecord, shard: Shard) -> Iterable[Query] | None:
        """Return the queries of *shard* of a run of *record*; None as for :meth:`of`."""
        data = self.of(record)
        return None if data is None else ShardInput(data, shard).queries


def _is_unchanged(source: SourceInput, record: RunRecord) -> bool:
    try:
        return source.digest == record.fingerprint.get("data")
    except (TpoError, OSError):
        return False
