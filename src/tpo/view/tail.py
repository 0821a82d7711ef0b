"""The lines of a file that grows: each is read once, when it is whole.

A file that was begun anew is told by what stands before the place where reading stopped: if that is not what
was read there, all of it is another file. So a copy that is brought up to date by being replaced goes on,
and a run that was thrown away does not.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path

AT_ONCE = 1 << 20
"""Bytes read at a time, so that a large file is read in parts and nobody waits for the whole of it."""

LONGEST = 1 << 28
"""Bytes of a line that is still taken for one."""

MARK = 128
"""Bytes remembered of what was read last: a trajectory ends with its times, which no other one shares."""


@dataclass(frozen=True, slots=True)
class Line:
    """A whole line with its line feed; *number* counts from 1, *offset* is its first byte."""

    number: int
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Growth:
    """What a file has grown by since the last look.

    Attributes:
        lines: whole ones, in order.
        anew: what was read before stands there no longer; *lines* begin at the file's start.
        more: there is more to read at once.
        torn: whether something follows the last whole line.
        error: why the file cannot be read; None where it can, or is not there.
    """

    lines: tuple[Line, ...] = ()
    anew: bool = False
    more: bool = False
    torn: bool = False
    error: str | None = None


class Tail:
    """The end of the file at *path*, which may not be there yet; *at_once* bytes are read at a time."""

    def __init__(self, path: Path, at_once: int = AT_ONCE) -> None:
        self._path = path
        self._at_once = at_once
        self._seen: tuple[int, ...] | None = None
        self._torn = False
        self._rewind()

    def read(self) -> Growth:
        """What was appended; nothing where the file is as it was."""
        try:
            # Without blocking, so that no pipe under this name holds up the reader.
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
        return Growth(anew=anew)

    def _rewind(self) -> bool:
        """Begin at the start; whether there was anything read."""
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
            return Growth(anew=anew, error=f"it holds a line of more than {LONGEST >> 20} MB")
        lines = self._split(block)
        self._torn = not more and self._offset < about.st_size
        self._seen = None if more else now
        return Growth(lines, anew, more, self._torn)

    def _continues(self, descriptor: int) -> bool:
        """Whether what was read last still stands before the place where reading stopped."""
        return os.pread(descriptor, len(self._mark), self._offset - len(self._mark)) == self._mark

    def _block(self, descriptor: int) -> tuple[bytes | None, bool]:
        """Whole lines from where reading stopped, and whether more follows; None: the line is too long."""
        size = self._at_once
        while size <= LONGEST:
            data = os.pread(descriptor, size, self._offset)
            whole = data.rfind(b"\n") + 1
            more = len(data) == size
            if whole or not more:
                return data[:whole], more
            size *= 2
        return None, False

    def _split(self, block: bytes) -> tuple[Line, ...]:
        """The lines of *block*, and reading goes on behind them."""
        lines = []
        for content in io.BytesIO(block):
            lines.append(Line(self._lines + 1, self._offset, content))
            self._lines += 1
            self._offset += len(content)
        self._mark = (self._mark + block)[-MARK:]
        return tuple(lines)
