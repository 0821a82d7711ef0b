"""Results as a table: one row per query with its best response, as JSON Lines, CSV or Parquet."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from tpo.errors import ConfigError
from tpo.export.atomic_writer import Exported, replacing_text
from tpo.export.tables import Row, write_columns, write_lines
from tpo.types import Trajectory

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "id": "string",
        "prompt": "string",
        "response": "string",
        "reward": "double",
        "candidate": "string",
        "finish_reason": "string",
        "first_mean_reward": "double",
        "first_best_reward": "double",
        "reference": "string",
        "method": "string",
        "status": "string",
        "stop_reason": "string",
        "error": "string",
        "candidates": "int64",
        "malformed": "int64",
        "metadata": "string",
    }
)
"""The columns and their types in Parquet. In JSON Lines ``metadata`` is an object, elsewhere its JSON."""


SUFFIXES = (".jsonl", ".csv", ".parquet")

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""Characters at the start of a cell that make a spreadsheet program evaluate it."""


def export_results(
    trajectories: Iterable[Trajectory], path: Path, *, escape_formulas: bool = True
) -> Exported:
    """Write a row for each of *trajectories*, failed ones too, in the format of the suffix of *path*.

    In CSV a text that a spreadsheet program would evaluate is preceded by an apostrophe, unless
    *escape_formulas* is false.

    Raises:
        ConfigError: the suffix is none of ``.jsonl``, ``.csv`` and ``.parquet``.
        MissingExtra: it is ``.parquet``, and pyarrow is not installed.
        StoreError: *path* cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: results are written to a file that ends in {', '.join(SUFFIXES)}")
    count = 0

    def rows() -> Iterator[Row]:
        nonlocal count
        for trajectory in trajectories:
            count += 1
            yield result_row(trajectory)

    if path.suffix == ".csv":
        _write_csv(rows(), path, escape_formulas=escape_formulas)
    else:
        WRITERS[path.suffix](rows(), path)
    return Exported(count)


def result_row(trajectory: Trajectory) -> Row:
    """A query's answer and how it came about; *response* and rewards are None where there is no pool."""
    best = trajectory.best
    first = [c.reward for c in trajectory.initial]
    return {
        "id": trajectory.query.id,
        "prompt": trajectory.query.text,
        "response": best.text if best else None,
        "reward": best.reward if best else None,
        "candidate": best.id if best else None,
        "finish_reason": best.finish_reason if best else None,
        "first_mean_reward": math.fsum(first) / len(first) if first else None,
        "first_best_reward": max(first, default=None),
        "reference": trajectory.query.reference,
        "method": trajectory.method,
        "status": trajectory.status,
        "stop_reason": trajectory.stop_reason,
        "error": trajectory.error,
        "candidates": len(trajectory.pool),
        "malformed": sum(len(step.unreadable) for step in trajectory.steps),
        "metadata": dict(trajectory.query.metadata),
    }


def _write_csv(rows: Iterator[Row], path: Path, *, escape_formulas: bool) -> None:
    flat = map(_flat, rows)
    with replacing_text(path) as file:
        writer = csv.DictWriter(file, list(COLUMNS), lineterminator="\r\n")  # RFC 4180
        writer.writeheader()
        writer.writerows(map(_escaped, flat) if escape_formulas else flat)


def _escaped(row: Row) -> Row:
    """Return *row* with its texts preceded by an apostrophe where they begin as a formula; numbers stay."""
    texts = {name: value for name, value in row.items() if isinstance(value, str)}
    return row | {name: f"'{text}" for name, text in texts.items() if text.startswith(FORMULA_STARTS)}


def _write_parquet(rows: Iterator[Row], path: Path) -> None:
    write_columns(map(_flat, rows), COLUMNS, path)


def _flat(row: Row) -> Row:
    return row | {"metadata": json.dumps(row["metadata"], ensure_ascii=False)}


WRITERS: Mapping[str, Callable[[Iterator[Row], Path], None]] = MappingProxyType(
    {".jsonl": write_lines, ".parquet": _write_parquet}
)
