"""Table of several benchmarks' results: one row per policy and method, one column per metric."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tpo.errors import StoreError
from tpo.experiments.bench.plan import AFTER, BEFORE
from tpo.experiments.bench.results import RESULTS, SCHEMA
from tpo.experiments.tables import format_metric

PARTIAL = "*"
"""Mark of a number on a part of a benchmark."""


def _read_results(folder: Path) -> dict[str, Any]:
    """Return the results in *folder*, which may also be the file itself.

    Raises:
        StoreError: there are none, or another version of tpo wrote them.
    """
    file = folder / RESULTS if folder.is_dir() else folder
    try:
        record = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{folder}: contains no {RESULTS}; tpo bench run writes one") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {file}: {error}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise StoreError(f"{file}: not written by this version of tpo bench")
    return record


def results_table(folders: Sequence[Path]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table, in the order of *folders*.

    The unaligned policy has its own row, taken from the first compared method.

    Raises:
        StoreError: as in :func:`_read_results`, or two folders have different values for one cell.
    """
    columns: list[str] = []
    cells: dict[str, dict[str, str]] = {}
    for folder in folders:
        record = _read_results(folder)
        for row, metrics in _lines(record):
            for metric in metrics:
                column = f"{record['benchmark']['title']} {metric['name']}"
                columns += [column] if column not in columns else []
                _fill(cells.setdefault(row, {}), column, _cell(metric, record), row, folder)
    return ["policy", *columns], [[row, *(of.get(c, "") for c in columns)] for row, of in cells.items()]


def _lines(record: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    policy = record["policy"]
    methods = record["methods"]
    compared = [method for method in methods if not method.get("apart")] or methods
    lines = [(policy, compared[0]["by_when"][BEFORE])] if methods else []
    return lines + [(f"{policy} + {m['method']}", m["by_when"][AFTER]) for m in methods]


def _cell(metric: dict[str, Any], record: dict[str, Any]) -> str:
    is_partial = metric["value"] is not None and not record["data"]["is_whole"]
    return format_metric(metric) + (PARTIAL if is_partial else "")


def _fill(row: dict[str, str], column: str, cell: str, name: str, folder: Path) -> None:
    if row.get(column, cell) != cell:
        raise StoreError(
            f"{folder}: {column} of {name} differs from an earlier folder; give only one of the two"
        )
    row[column] = cell
