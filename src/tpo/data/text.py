"""Bytes become text: UTF-8, a byte-order mark tolerated, gzip opened, and every failure placed."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tpo.errors import DataError

CHUNK = 1 << 18
OTHER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """*path* for reading, decompressed where its name ends in ``.gz``; a byte-order mark is passed over.

    Raises:
        DataError: it cannot be opened or read, is UTF-16, or is no whole gzip file.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as opened:
            file = cast("BinaryIO", opened)
            _pass_over_mark(path, file)
            yield file
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise DataError(f"{path}: cannot be read: {error}") from error


def _pass_over_mark(path: Path, file: BinaryIO) -> None:
    start = file.read(3)
    if start[:2] in OTHER_MARKS:
        raise DataError(f"{path}: is UTF-16 text; save it as UTF-8")
    if start != codecs.BOM_UTF8:
        file.seek(0)


def decoded_lines(path: Path) -> Iterator[str]:
    """The lines of *path* with their ends; only a line feed ends one, so U+2028 in a text is a text.

    Raises:
        DataError: a line is not UTF-8, with the line's number and the byte's.
    """
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise not_utf8(path, number, error.start, line[error.start]) from error


def decoded_chunks(path: Path, size: int = CHUNK) -> Iterator[str]:
    """The text of *path* in pieces of *size* bytes.

    Raises:
        DataError: it is not UTF-8, with the line and the byte within it.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, column = 1, 0
    with open_bytes(path) as file:
        while chunk := file.read(size):
            pending = decoder.getstate()[0]
            try:
                yield decoder.decode(chunk)
            except UnicodeDecodeError as error:
                before = (pending + chunk)[: error.start]
                line, column = _advanced(line, column - len(pending), before)
                raise not_utf8(path, line, column, error.object[error.start]) from error
            line, column = _advanced(line, column, chunk)
        if left := decoder.getstate()[0]:
            raise not_utf8(path, line, column - len(left), left[0])


def _advanced(line: int, column: int, passed: bytes) -> tuple[int, int]:
    last = passed.rfind(b"\n")
    if last < 0:
        return line, column + len(passed)
    return line + passed.count(b"\n"), len(passed) - last - 1


def not_utf8(path: Path, line: int, position: int, byte: int) -> DataError:
    """The error for a byte that no UTF-8 text holds there; *position* counts from 0 in its line."""
    return DataError(f"{path}:{line}: byte {position + 1} (0x{byte:02x}) is not UTF-8; save it as UTF-8")


def file_digest(path: Path) -> str:
    """``sha256:`` and the hash of the bytes of *path*, read in pieces.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
