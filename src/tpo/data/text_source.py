"""Plain text: one query per line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tpo.data.row import OnInvalid, Row, raise_invalid
from tpo.data.text import TextFile


@dataclass(frozen=True, slots=True)
class LineSource:
    """A ``.txt`` file: each line that is not blank is a query."""

    file: TextFile

    def rows(self, on_invalid: OnInvalid = raise_invalid) -> Iterator[Row]:
        """Yield each line without its line end; blank lines are skipped."""
        for number, line in self.file.lines(on_invalid):
            if line.strip():
                yield Row(f"{self.file}:{number}", line.rstrip("\r\n"))

    def digest(self) -> str:
        """Return the hash of the decompressed content."""
        return self.file.digest()

    def known_size(self) -> int | None:
        """Return None: the size is not known before reading."""
        return None
