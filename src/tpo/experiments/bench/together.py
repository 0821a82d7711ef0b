"""Results of several benchmarks and models in one table: a row each method, a column each metric."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tpo.errors import StoreError
from tpo.experiments.bench.arms import AFTER, BEFORE
from tpo.experiments.bench.engine import RESULTS, SCHEMA
from tpo.experiments.tables import format_metric

NOT_WHOLE = "*"
"""Behind a number of a part of a benchmark."""


def read_results(folder: Path) -> dict[str, Any]:
    """The results in *folder*, or in the file itself.

    Raises:
        StoreError: there are none, or another version wrote them.
    """
    file = folder / RESULTS if folder.is_dir() else folder
    try:
        record = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{folder}: no {RESULTS} is here; tpo bench run writes one") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {file}: {error}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise StoreError(f"{file}: not results of this version of tpo bench")
    return record


def head_and_rows(folders: Sequence[Path]) -> tuple[list[str], list[list[str]]]:
    """The table's head and rows, policies and methods in the order in which they come.

    The unaligned policy has a row of its own, from the first method that tells of it.

    Raises:
        StoreError: as :func:`read_results`, or two folders fill the same cell.
    """
    columns: list[str] = []
    cells: dict[str, dict[str, str]] = {}
    for folder in folders:
        record = read_results(folder)
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
    is_part = metric["value"] is not None and not record["data"]["is_whole"]
    return format_metric(metric) + (NOT_WHOLE if is_part else "")


def _fill(row: dict[str, str], column: str, cell: str, name: str, folder: Path) -> None:
    if row.get(column, cell) != cell:
        raise StoreError(
            f"{folder}: {column} of {name} was told before, and otherwise; give one folder of them"
        )
    row[column] = cell
