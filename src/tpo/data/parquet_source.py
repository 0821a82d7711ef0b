"""Parquet files: each row becomes an object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tpo.data.arrow import BATCH, import_arrow
from tpo.data.row import MAX_COLUMNS, OnInvalid, Row, raise_invalid, too_many_columns
from tpo.data.text import TextFile
from tpo.errors import DataError


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A ``.parquet`` file."""

    file: TextFile

    def rows(self, on_invalid: OnInvalid = raise_invalid) -> Iterator[Row]:
        """Yield each row as an object, a batch of them in memory at once.

        Raises:
            DataError: the file cannot be read, or *on_invalid* raised the error of a row with a value that
                Python cannot hold, such as a text that is not UTF-8.
        """
        number = 0
        with self._open() as file:
            if file.metadata.num_columns > MAX_COLUMNS:
                raise too_many_columns(self.file, file.metadata.num_columns)
            for batch in file.iter_batches(batch_size=BATCH):
                for value in _values(batch):
                    number += 1
                    place = f"{self.file}: row {number}"
                    if isinstance(value, str):
                        on_invalid(DataError(f"{place}: {value}"))
                    else:
                        yield Row(place, value)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        arrow, parquet = import_arrow("reading Parquet")
        try:
            with parquet.ParquetFile(self.file.path) as file:
                yield file
        except (OSError, arrow.ArrowException) as error:
            raise DataError(f"{self.file}: cannot be read as Parquet: {error}") from error
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.file}: cannot be read as Parquet: a column's name is not UTF-8"
            ) from error

    def digest(self) -> str:
        """Return the hash of the file."""
        return self.file.digest()

    def known_size(self) -> int | None:
        """Return None: rows are checked by reading them, which counts them as well."""
        return None


def _values(batch: Any) -> Iterator[dict[str, Any] | str]:
    """Yield each row of *batch* as an object, or as the reason why it cannot be one."""
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):
        rows = [_value(batch.slice(index, 1)) for index in range(batch.num_rows)]
    yield from rows


def _value(row: Any) -> dict[str, Any] | str:
    values: dict[str, Any] = {}
    for name, column in zip(row.schema.names, row.columns, strict=True):
        try:
            values[name] = column.to_pylist()[0]
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            return f"column {name!r}: byte {error.start + 1} (0x{byte:02x}) is not UTF-8; save it as UTF-8"
        except (ValueError, OverflowError) as error:
            return f"column {name!r}: cannot be read: {error}"
    return values
