"""Data inside a page: JSON, compressed, in base64, so that no text of a model or data set can be markup.

A block is a ``<script>`` of a type that browsers do not run. Its content is letters, digits, ``+``, ``/`` and
``=`` only: whatever it says, there is no tag, comment or line separator in it.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import IO, Any

from tpo.store.jsonline import to_line

CHUNK = 1 << 19
"""Bytes of JSON that go together: read and unfolded in a few milliseconds, compressed as well as a file."""

LEVEL = 6


def block(name: str, value: Mapping[str, Any]) -> bytes:
    """*value* as the data block *name*.

    Raises:
        StoreError: it holds something that JSON has no form for.
    """
    return _element(name, to_line(value))


def _element(name: str, content: bytes) -> bytes:
    body = b64encode(zlib.compress(content, LEVEL))
    return b'<script type="application/zlib" id="%s">%s</script>\n' % (name.encode(), body)


class Chunks:
    """Records in blocks of about CHUNK bytes, spooled to *file* as they come.

    *prefix* names the blocks: ``PREFIX-0``, ``PREFIX-1``, …; a block is a JSON list.
    """

    def __init__(self, prefix: str, file: IO[bytes]) -> None:
        self.starts: list[int] = []
        """By block, the number of its first record."""
        self._prefix = prefix
        self._file = file
        self._lines: list[bytes] = []
        self._size = 0
        self._count = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Another record."""
        line = to_line(record).rstrip(b"\n")
        self._lines.append(line)
        self._size += len(line)
        self._count += 1
        if self._size >= CHUNK:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._lines:
            return
        name = f"{self._prefix}-{len(self.starts)}"
        self.starts.append(self._count - len(self._lines))
        self._file.write(_element(name, b"[" + b",".join(self._lines) + b"]"))
        self._lines, self._size = [], 0


def copied(file: IO[bytes]) -> Iterator[bytes]:
    """The whole of *file*, a piece at a time."""
    file.seek(0)
    while piece := file.read(1 << 20):
        yield piece
