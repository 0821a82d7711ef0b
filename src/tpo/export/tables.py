"""Rows as JSON Lines or as Parquet, a batch of them in memory at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from tpo.data.arrow import BATCH, write_parquet
from tpo.export.atomic_writer import replacing, replacing_text

Row = dict[str, Any]


def write_lines(rows: Iterable[Row], path: Path) -> None:
    """Write each of *rows* as a line of JSON.

    Raises:
        StoreError: *path* cannot be written.
    """
    with replacing_text(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_columns(rows: Iterator[Row], columns: Mapping[str, str], path: Path) -> None:
    """Write *rows* as Parquet; *columns* gives the types by name.

    Raises:
        MissingExtra: pyarrow is not installed.
        StoreError: *path* cannot be written.
    """
    batches = iter(lambda: [writable(row) for row in islice(rows, BATCH)], [])
    with replacing(path) as fresh:
        write_parquet(fresh, columns, batches)


def writable(value: Any) -> Any:
    r"""*value* with each half of a surrogate pair in it as the text ``\ud83d``: Arrow takes UTF-8 only."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {name: writable(part) for name, part in value.items()}
    if isinstance(value, list):
        return [writable(part) for part in value]
    return value
