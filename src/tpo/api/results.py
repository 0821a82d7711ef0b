"""The results of a run, read from its directory."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tpo.data.arrow import to_table
from tpo.errors import MissingExtra
from tpo.export.results import COLUMNS, result_row
from tpo.export.tables import writable
from tpo.runs.summary import Summary, summarize
from tpo.store import RunRecord, read_run, read_trajectories
from tpo.store.reader import read_attempts
from tpo.types import Trajectory


@dataclass(frozen=True, repr=False)
class Run:
    """The results of the run in the directory *path*, read when they are asked for."""

    path: Path
    _summary: Summary | None = field(default=None, compare=False)

    @property
    def record(self) -> RunRecord:
        """The content of ``run.json`` as it is now."""
        return read_run(self.path)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every option of the last invocation as it was resolved, by name."""
        return self.record.configuration

    @property
    def totals(self) -> Mapping[str, Any]:
        """The summary in plain values: counts, rewards by step, calls and tokens, failures, seconds."""
        record = self.record
        return record.totals if record.ended is not None and record.totals else summarize(self.path).record()

    @cached_property
    def summary(self) -> Summary:
        """Counts, mean rewards by step, calls and tokens by phase, failures by reason."""
        return self._summary if self._summary is not None else summarize(self.path)

    @property
    def failed(self) -> dict[str, str]:
        """Queries that failed, by id, with the reason. Running again tries them again."""
        return {t.query.id: t.error or "" for t in read_attempts(self.path, failed_only=True)}

    def trajectories(self) -> Iterator[Trajectory]:
        """Iterate over the trajectories in the order in which they ended, one in memory at a time."""
        return read_trajectories(self.path)

    def to_arrow(self) -> Any:
        """Return a ``pyarrow.Table`` with a row for each query: the columns of ``tpo export``.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        rows = (row | {"metadata": json.dumps(row["metadata"], ensure_ascii=False)} for row in self._rows())
        return to_table(map(writable, rows), COLUMNS)

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame`` with a row for each query: the columns of ``tpo export``.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtra("pandas", "data", "Run.to_pandas()") from error
        return pd.DataFrame([writable(row) for row in self._rows()], columns=list(COLUMNS))

    def _rows(self) -> Iterator[dict[str, Any]]:
        return map(result_row, self.trajectories())

    def __repr__(self) -> str:
        totals = self.totals
        failed = f", {totals['failed']:,} failed" if totals["failed"] else ""
        means = [row["best_mean"] for row in totals["by_step"] if row["best_mean"] is not None]
        best = f", mean best reward {means[0]:+.3f} -> {means[-1]:+.3f}" if means else ""
        return f"Run({str(self.path)!r}: {totals['finished']:,} finished{failed}{best})"

    def _repr_html_(self) -> str:
        rows = [
            (
                str(row["step"]),
                _reward(row["samples_mean"]),
                _reward(row["best_mean"]),
                f"{row['candidates']:,}",
            )
            for row in self.totals["by_step"]
        ]
        head = ("step", "mean reward of the samples", "mean best of the pool", "candidates")
        body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
        return (
            f"<p><code>{html.escape(repr(self))}</code></p>"
            f"<table><thead><tr>{_cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"
        )


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)


def _reward(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def load_run(path: str | Path) -> Run:
    """Return the run in the directory *path*, whether it has ended or not.

    Raises:
        StoreError: no run is there, or it cannot be read.
    """
    found = Run(Path(path))
    _ = found.record
    return found
