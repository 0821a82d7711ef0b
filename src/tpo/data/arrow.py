"""The only module that imports pyarrow: Parquet in and out, Zstandard in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.data.row import MAX_COLUMNS, OnInvalid, Row, raise_invalid, too_many_columns
from tpo.data.text import TextFile
from tpo.errors import DataError, MissingExtra

BATCH = 1024
"""Rows in memory at once."""


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A ``.parquet`` file."""

    file: TextFile

    def rows(self, on_invalid: OnInvalid = raise_invalid) -> Iterator[Row]:
        """Yield each row as an object, a batch of them in memory at once."""
        del on_invalid  # a row of a Parquet file cannot be invalid by itself
        number = 0
        with self._open() as file:
            if file.metadata.num_columns > MAX_COLUMNS:
                raise too_many_columns(self.file, file.metadata.num_columns)
            for batch in file.iter_batches(batch_size=BATCH):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(f"{self.file}: row {number}", value)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        arrow, parquet = _import("reading Parquet")
        try:
            with parquet.ParquetFile(self.file.path) as file:
                yield file
        except (OSError, arrow.ArrowException) as error:
            raise DataError(f"{self.file}: cannot be read as Parquet: {error}") from error

    def digest(self) -> str:
        """Return the hash of the file."""
        return self.file.digest()

    def known_size(self) -> int | None:
        """Return None: rows are checked by reading them, which counts them as well."""
        return None


def open_zstd(path: Path) -> Any:
    """Open a file that is compressed with Zstandard.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow, _ = _import(f"reading {path}")
    return arrow.input_stream(str(path), compression="zstd", buffer_size=None)


def write_parquet(
    path: Path, columns: Mapping[str, str], batches: Iterable[Sequence[Mapping[str, Any]]]
) -> None:
    """Write *batches* of rows to *path*; *columns* gives each column's Arrow type by its name.

    Beside Arrow's own names there is ``messages``: a list of turns, each a role and a content.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow, parquet = _import("writing Parquet")
    schema = arrow.schema([(name, _type(arrow, kind)) for name, kind in columns.items()])
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in batches:
            writer.write_table(arrow.Table.from_pylist(list(rows), schema=schema))


def to_table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> Any:
    """Return *rows* as a ``pyarrow.Table``; *columns* as for :func:`write_parquet`.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow, _ = _import("an Arrow table")
    schema = arrow.schema([(name, _type(arrow, kind)) for name, kind in columns.items()])
    return arrow.Table.from_pylist(list(rows), schema=schema)


def _type(arrow: Any, kind: str) -> Any:
    if kind == "messages":
        return arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())]))
    return arrow.type_for_alias(kind)


def _import(purpose: str) -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "data", purpose) from error
    return pa, parquet
