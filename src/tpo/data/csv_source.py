"""CSV and TSV with a header: each record an object of texts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tpo.data.row import Row
from tpo.data.text import decoded_lines, file_digest
from tpo.errors import DataError

FIELD_LIMIT = 1 << 28
"""Signs in a field. The library's own limit of 131,072 is below a long document."""


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A ``.csv`` file, or with a tab as *delimiter* a ``.tsv`` one."""

    path: Path
    delimiter: str = ","

    def rows(self) -> Iterator[Row]:
        """Each record under the header; empty cells are null, blank lines are passed over."""
        records = self._records()
        line, header = next(records, (1, []))
        self._require_distinct(header, line)
        for line, cells in records:
            if len(cells) != len(header):
                raise DataError(
                    f"{self.path}:{line}: {len(cells)} fields where the header has {len(header)}; "
                    "quote fields that hold the delimiter or line breaks"
                )
            values = {name: cell or None for name, cell in zip(header, cells, strict=True)}
            yield Row(f"{self.path}:{line}", values)

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """The records that are not blank, each with the line where it starts."""
        # The module keeps this limit for the whole process; it has no other place for it.
        csv.field_size_limit(max(FIELD_LIMIT, csv.field_size_limit()))
        reader = csv.reader(decoded_lines(self.path), delimiter=self.delimiter, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DataError(f"{self.path}:{line}: not valid CSV: {error}") from error
            if cells is None:
                return
            if cells:
                yield line, cells

    def _require_distinct(self, header: list[str], line: int) -> None:
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise DataError(f"{self.path}:{line}: the header names {twice[0]!r} more than once")

    def digest(self) -> str:
        """The hash of the file."""
        return file_digest(self.path)

    def known_size(self) -> int | None:
        """Unknown before reading."""
        return None
