"""CSV and TSV with a header: each record becomes an object of strings."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tpo.data.row import MAX_COLUMNS, MAX_ROW, OnInvalid, Row, raise_invalid, too_many_columns
from tpo.data.text import TextFile
from tpo.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
"""Delimiters that are recognised, in order of preference."""

SAMPLE_RECORDS = 50
SAMPLE_BYTES = 1 << 18
"""Size of the beginning of a file by which its delimiter is recognised."""


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A table of texts with a header; *delimiter* None: recognised from the first records."""

    file: TextFile
    delimiter: str | None = None

    def rows(self, on_invalid: OnInvalid = raise_invalid) -> Iterator[Row]:
        """Yield each record under the header; empty cells are null, blank lines are skipped.

        Raises:
            DataError: the header is invalid, or *on_invalid* raised the error of a record.
        """
        # The csv module holds this limit for the whole process; its default is below a long document.
        csv.field_size_limit(max(MAX_ROW, csv.field_size_limit()))
        delimiter = self.delimiter or _recognised_delimiter(self.file)
        records = _Records(self.file, delimiter)
        line, header = next(records.read(raise_invalid), (1, []))
        self._check_header(header, line)
        for line, cells in records.read(on_invalid):
            if len(cells) == len(header):
                values = {name: cell or None for name, cell in zip(header, cells, strict=True)}
                yield Row(f"{self.file}:{line}", values)
                continue
            told = f"{self.file}:{line}: {len(cells)} fields where the header has {len(header)}; "
            advice = "quote fields that hold the delimiter or line breaks"
            on_invalid(DataError(f"{told}{advice}, or give another --delimiter than {delimiter!r}"))

    def _check_header(self, header: list[str], line: int) -> None:
        place = f"{self.file}:{line}"
        if len(header) > MAX_COLUMNS:
            raise too_many_columns(place, len(header))
        twice = sorted(name for name, count in Counter(header).items() if count > 1)
        if twice:
            raise DataError(f"{place}: the header names {twice[0]!r} more than once")

    def digest(self) -> str:
        """Return the hash of the decompressed content."""
        return self.file.digest()

    def known_size(self) -> int | None:
        """Return None: the size is not known before reading."""
        return None


class _Records:
    """Reads the records of one CSV file and keeps what happened to the lines of the current one."""

    def __init__(self, file: TextFile, delimiter: str) -> None:
        self._file = file
        self._line = 0
        self._size = 0
        self._undecodable: DataError | None = None
        self._reader = csv.reader(self._lines(), delimiter=delimiter, strict=True)

    def read(self, on_invalid: OnInvalid) -> Iterator[tuple[int, list[str]]]:
        """Yield the records that are left and not blank, each with the line where it starts."""
        while True:
            start, self._size, self._undecodable = self._line + 1, 0, None
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                on_invalid(DataError(f"{self._file}:{start}: not valid CSV: {error}"))
                continue
            if self._undecodable is not None:
                on_invalid(self._undecodable)
            elif cells is None:
                return
            elif cells:
                yield start, cells

    def _lines(self) -> Iterator[str]:
        """Yield the lines; one that is not UTF-8 makes its whole record invalid."""
        for number, line in self._file.raw_lines():
            self._line = number
            self._size += len(line)
            if self._size > MAX_ROW:
                raise DataError(
                    f"{self._file}:{self._line}: a record is longer than {MAX_ROW:,} bytes; "
                    "is a quotation mark left open?"
                )
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                self._undecodable = self._file.not_utf8(self._line, error.start, line[error.start])
                yield line.decode("utf-8", "replace")


def _recognised_delimiter(file: TextFile) -> str:
    """Return the delimiter that splits most of the first records into as many fields as the header.

    A comma where none does: the file may have a single column.

    Raises:
        DataError: *file* cannot be read.
    """
    with file.open() as opened:
        sample = opened.read(SAMPLE_BYTES)
    lines = [f"{line}\n" for line in sample.decode("utf-8", "replace").split("\n")]
    return max(DELIMITERS, key=lambda delimiter: _share_split(lines, delimiter))


def _share_split(lines: list[str], delimiter: str) -> float:
    """Return the share of records with as many fields as the header, 0 where that has a single one."""
    try:
        records = [cells for cells in islice(csv.reader(lines, delimiter=delimiter), SAMPLE_RECORDS) if cells]
    except csv.Error:
        return 0.0
    if not records or len(records[0]) < 2:
        return 0.0
    share = sum(len(cells) == len(records[0]) for cells in records) / len(records)
    return share if share >= 0.5 else 0.0
