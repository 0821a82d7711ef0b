"""pyarrow, which no other module imports: Parquet out, tables, Zstandard in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tpo.errors import MissingExtra

BATCH = 1024
"""Rows in memory at once."""


def import_arrow(purpose: str) -> tuple[Any, Any]:
    """Return the modules ``pyarrow`` and ``pyarrow.parquet``; *purpose* is for the error.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "data", purpose) from error
    return pa, parquet


def open_zstd(path: Path) -> Any:
    """Open a file that is compressed with Zstandard.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow, _ = import_arrow(f"reading {path}")
    return arrow.input_stream(str(path), compression="zstd", buffer_size=None)


def write_parquet(
    path: Path, columns: Mapping[str, str], batches: Iterable[Sequence[Mapping[str, Any]]]
) -> None:
    """Write *batches* of rows to *path*; *columns* gives each column's Arrow type by its name.

    Beside Arrow's own names there is ``messages``: a list of turns, each a role and a content.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow, parquet = import_arrow("writing Parquet")
    schema = arrow.schema([(name, _type(arrow, kind)) for name, kind in columns.items()])
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in batches:
            writer.write_table(arrow.Table.from_pylist(list(rows), schema=schema))


def to_table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> Any:
    """Return *rows* as a ``pyarrow.Table``; *columns* as for :func:`write_parquet`.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow, _ = import_arrow("an Arrow table")
    schema = arrow.schema([(name, _type(arrow, kind)) for name, kind in columns.items()])
    return arrow.Table.from_pylist(list(rows), schema=schema)


def _type(arrow: Any, kind: str) -> Any:
    if kind == "messages":
        return arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())]))
    return arrow.type_for_alias(kind)
