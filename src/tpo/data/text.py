"""Text files: decompression, UTF-8 decoding, and errors that name the line and the byte."""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, cast

from tpo.data.row import MAX_ROW, OnInvalid, raise_invalid
from tpo.errors import DataError

CHUNK = 1 << 18
OTHER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _open_zstd(path: Path) -> Any:
    from tpo.data.arrow import open_zstd

    return open_zstd(path)


Opener = Callable[[Path], Any]
OPENERS: Mapping[str, Opener] = MappingProxyType(
    {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _open_zstd}
)
"""Compression formats by suffix."""

_SIGNATURES = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file, decompressed by its suffix, or without one by its first bytes; messages call it *name*."""

    path: Path
    name: str = ""

    def __str__(self) -> str:
        return self.name or str(self.path)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file for reading decompressed bytes; a UTF-8 byte-order mark is skipped.

        Raises:
            DataError: it cannot be opened or read, is UTF-16, or its compressed data is damaged.
            MissingExtra: it is ``.zst``, and pyarrow is not installed.
        """
        try:
            with io.BufferedReader(self._opener()(self.path), CHUNK) as opened:
                file = cast("BinaryIO", opened)
                self._skip_mark(opened)
                yield file
        # gzip.BadGzipFile is an OSError
        except (OSError, EOFError, zlib.error, lzma.LZMAError, MemoryError) as error:
            raise DataError(f"{self}: cannot be read: {error}") from error

    def digest(self) -> str:
        """Return ``sha256:`` and the hash of the decompressed bytes, read in chunks.

        Raises:
            DataError: it cannot be read.
        """
        found = hashlib.sha256()
        with self.open() as file:
            while chunk := file.read(CHUNK):
                found.update(chunk)
        return f"sha256:{found.hexdigest()}"

    def _opener(self) -> Opener:
        suffix = self.path.suffix.lower()
        if suffix not in OPENERS:
            with self.path.open("rb") as file:
                start = file.read(6)
            suffix = next((of for mark, of in _SIGNATURES.items() if start.startswith(mark)), "")
        return OPENERS.get(suffix, lambda path: path.open("rb", buffering=0))

    def _skip_mark(self, file: io.BufferedReader) -> None:
        start = file.peek(3)[:3]
        if start[:2] in OTHER_MARKS:
            raise DataError(f"{self}: is UTF-16 text; save it as UTF-8")
        if start == codecs.BOM_UTF8:
            file.read(3)

    def lines(self, on_invalid: OnInvalid = raise_invalid) -> Iterator[tuple[int, str]]:
        """Yield each line with its number and its line end.

        Only a line feed ends a line, so U+2028 inside a text is part of it.

        Raises:
            DataError: a line is not UTF-8 or too long, and *on_invalid* raised its error.
        """
        for number, line in self.raw_lines(on_invalid):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                on_invalid(self.not_utf8(number, error.start, line[error.start]))
            else:
                yield number, text

    def raw_lines(self, on_invalid: OnInvalid = raise_invalid) -> Iterator[tuple[int, bytes]]:
        """Yield each line with its number, not decoded.

        Raises:
            DataError: a line is longer than :data:`MAX_ROW`, and *on_invalid* raised its error.
        """
        number = 0
        with self.open() as file:
            while line := file.readline(MAX_ROW + 1):
                number += 1
                if len(line) <= MAX_ROW:
                    yield number, line
                    continue
                on_invalid(DataError(f"{self}:{number}: the line is longer than {MAX_ROW:,} bytes"))
                while line and not line.endswith(b"\n"):
                    line = file.readline(CHUNK)

    def chunks(self, size: int = CHUNK) -> Iterator[str]:
        """Yield the text in pieces of *size* bytes.

        Raises:
            DataError: it is not UTF-8, with the line and the byte within it.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        line, column = 1, 0
        with self.open() as file:
            while chunk := file.read(size):
                pending = decoder.getstate()[0]
                try:
                    yield decoder.decode(chunk)
                except UnicodeDecodeError as error:
                    before = (pending + chunk)[: error.start]
                    line, column = _advanced(line, column - len(pending), before)
                    raise self.not_utf8(line, column, error.object[error.start]) from error
                line, column = _advanced(line, column, chunk)
            if left := decoder.getstate()[0]:
                raise self.not_utf8(line, column - len(left), left[0])

    def not_utf8(self, line: int, position: int, byte: int) -> DataError:
        """Return the error for an invalid *byte*; *position* counts from 0 in its line."""
        return DataError(f"{self}:{line}: byte {position + 1} (0x{byte:02x}) is not UTF-8; save it as UTF-8")


def _advanced(line: int, column: int, passed: bytes) -> tuple[int, int]:
    last = passed.rfind(b"\n")
    if last < 0:
        return line, column + len(passed)
    return line + passed.count(b"\n"), len(passed) - last - 1
