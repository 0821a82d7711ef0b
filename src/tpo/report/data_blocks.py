"""Data blocks of a page: compressed JSON in base64, so that no text of a model or data set becomes markup.

A block is a ``<script>`` of a type that browsers do not run. Its content has only letters, digits, ``+``,
``/`` and ``=``: it cannot contain a tag, a comment or a line separator.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import IO, Any

from tpo.store.jsonline import to_line
from tpo.store.temporary_files import temporary_file_errors

CHUNK = 1 << 19
"""Bytes of JSON per block: decompressed in a few milliseconds, compressed almost as well as a whole file."""

LEVEL = 6


def data_block(name: str, value: Mapping[str, Any]) -> bytes:
    """Return *value* as the data block *name*.

    Raises:
        StoreError: *value* cannot be represented in JSON.
    """
    return _element(name, to_line(value))


def _element(name: str, content: bytes) -> bytes:
    body = b64encode(zlib.compress(content, LEVEL))
    return b'<script type="application/zlib" id="%s">%s</script>\n' % (name.encode(), body)


class ChunkWriter:
    """Writer of records to the temporary *file* in blocks of about :data:`CHUNK` bytes.

    Blocks are named ``PREFIX-0``, ``PREFIX-1`` and so on; each is a JSON list.

    Raises:
        StoreError: *file* cannot be written (from each method).
    """

    def __init__(self, prefix: str, file: IO[bytes]) -> None:
        self.starts: list[int] = []
        """Number of the first record of each block."""
        self._prefix = prefix
        self._file = file
        self._lines: list[bytes] = []
        self._size = 0
        self._count = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Add a record."""
        line = to_line(record).rstrip(b"\n")
        self._lines.append(line)
        self._size += len(line)
        self._count += 1
        if self._size >= CHUNK:
            self.flush()

    def flush(self) -> None:
        """Write the records that are not written yet."""
        if not self._lines:
            return
        name = f"{self._prefix}-{len(self.starts)}"
        self.starts.append(self._count - len(self._lines))
        with temporary_file_errors():
            self._file.write(_element(name, b"[" + b",".join(self._lines) + b"]"))
        self._lines, self._size = [], 0


def read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of *file* in pieces."""
    file.seek(0)
    while piece := file.read(1 << 20):
        yield piece
