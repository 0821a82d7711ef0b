"""Read appended lines of a growing file, each once, when it is complete.

A replaced file is recognised by the bytes before the read position: if they differ from what was read there,
the whole file is new. So a synchronized copy that is replaced by a longer one continues, and a run that was
deleted and started again begins at the start.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path

READ_SIZE = 1 << 20
"""Bytes per read; a large file is read in parts."""

MAX_LINE = 1 << 28
"""Maximum length of a line in bytes."""

MARK = 128
"""Bytes before the read position that are remembered; a trajectory ends with its unique times."""


@dataclass(frozen=True, slots=True)
class Line:
    """Complete line with its line feed; *number* counts from 1, *offset* is its first byte."""

    number: int
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Growth:
    """Content appended to a file since the last read.

    Attributes:
        lines: complete lines, in order.
        replaced: the file was replaced; *lines* begin at its start.
        more: more can be read now.
        torn: an incomplete line follows the last complete one.
        error: why the file cannot be read; None if it can, or does not exist.
    """

    lines: tuple[Line, ...] = ()
    replaced: bool = False
    more: bool = False
    torn: bool = False
    error: str | None = None


class Tail:
    """Reader of the file at *path*, which may not exist yet; *read_size* bytes per read."""

    def __init__(self, path: Path, read_size: int = READ_SIZE) -> None:
        self._path = path
        self._read_size = read_size
        self._seen: tuple[int, ...] | None = None
        self._torn = False
        self._rewind()

    def read(self) -> Growth:
        """Return what was appended since the last call."""
        try:
            # Non-blocking: a pipe of this name must not block the reader.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return self._gone()
        except OSError as error:
            return Growth(error=error.strerror)
        try:
            return self._read(descriptor)
        except OSError as error:
            return Growth(error=error.strerror)
        finally:
            os.close(descriptor)

    def _gone(self) -> Growth:
        anew = self._rewind()
        self._seen, self._torn = None, False
        return Growth(replaced=anew)

    def _rewind(self) -> bool:
        """Start again at the beginning; return whether anything had been read."""
        began = getattr(self, "_offset", 0) > 0
        self._offset, self._lines, self._mark = 0, 0, b""
        return began

    def _read(self, descriptor: int) -> Growth:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            return Growth(error="it is not a regular file")
        now = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
        if now == self._seen:
            return Growth(torn=self._torn)
        anew = not self._continues(descriptor) and self._rewind()
        block, more = self._block(descriptor)
        if block is None:
            return Growth(replaced=anew, error=f"it holds a line of more than {MAX_LINE >> 20} MB")
        lines = self._split(block)
        self._torn = not more and self._offset < about.st_size
        self._seen = None if more else now
        return Growth(lines, anew, more, self._torn)

    def _continues(self, descriptor: int) -> bool:
        """Return whether the bytes before the read position are still the same."""
        return os.pread(descriptor, len(self._mark), self._offset - len(self._mark)) == self._mark

    def _block(self, descriptor: int) -> tuple[bytes | None, bool]:
        """Return complete lines (None: a line is too long), and whether more follows."""
        size = self._read_size
        while size <= MAX_LINE:
            data = os.pread(descriptor, size, self._offset)
            whole = data.rfind(b"\n") + 1
            more = len(data) == size
            if whole or not more:
                return data[:whole], more
            size *= 2
        return None, False

    def _split(self, block: bytes) -> tuple[Line, ...]:
        """Split *block* into lines and advance the read position."""
        lines = []
        for content in io.BytesIO(block):
            lines.append(Line(self._lines + 1, self._offset, content))
            self._lines += 1
            self._offset += len(content)
        self._mark = (self._mark + block)[-MARK:]
        return tuple(lines)
