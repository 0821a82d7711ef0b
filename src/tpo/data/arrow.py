"""The one door to pyarrow: reading Parquet in, writing it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.data.row import Row
from tpo.data.text import file_digest
from tpo.errors import DataError, MissingExtra

BATCH = 1024
"""Rows in memory at once."""


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A ``.parquet`` file."""

    path: Path

    def rows(self) -> Iterator[Row]:
        """Each row as an object, a batch of them in memory at once."""
        number = 0
        with self._file() as file:
            for batch in file.iter_batches(batch_size=BATCH):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(f"{self.path}: row {number}", value)

    @contextmanager
    def _file(self) -> Iterator[Any]:
        arrow, parquet = _import("reading Parquet")
        try:
            with parquet.ParquetFile(self.path) as file:
                yield file
        except (OSError, arrow.ArrowException) as error:
            raise DataError(f"{self.path}: cannot be read as Parquet: {error}") from error

    def digest(self) -> str:
        """The hash of the file."""
        return file_digest(self.path)

    def known_size(self) -> int | None:
        """Unknown here: the rows are checked by reading them, which counts them too."""
        return None


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
