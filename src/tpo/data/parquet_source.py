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
        arrow, parquet = import_arrow("reading Parquet")
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
