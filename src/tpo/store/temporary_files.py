"""Temporary files, for what would grow in memory with a run; their errors name the directory."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tpo.errors import StoreError
from tpo.store.reader import replaces

FALLBACKS = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108 - where SQLite looks, in its order


class TemporaryDatabase:
    """SQLite database in a temporary file, which SQLite removes; *table* is the statement for its table.

    Statements may call ``replaces(finished, earlier)``, which is :func:`tpo.store.reader.replaces`.

    Raises:
        StoreError: it cannot be written or read; so does every method.
    """

    def __init__(self, table: str) -> None:
        with _database_errors():
            self._connection = sqlite3.connect("", check_same_thread=False)
            self._connection.create_function("replaces", 2, replaces, deterministic=True)
            self._connection.execute(table)

    def write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute *statement* for each of *rows*."""
        with _database_errors():
            self._connection.executemany(statement, rows)

    def read(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that *query* finds."""
        with _database_errors():
            yield from self._connection.execute(query, values)

    def close(self) -> None:
        """Remove the database."""
        self._connection.close()


@contextmanager
def temporary_file() -> Iterator[IO[bytes]]:
    """Open a temporary file that goes away at the end of the block; flush it before it is read.

    Raises:
        StoreError: it cannot be made.
    """
    with temporary_file_errors():
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    try:
        yield file
    finally:
        with suppress(OSError):  # closing writes what could not be written before
            file.close()


@contextmanager
def temporary_file_errors() -> Iterator[None]:
    """Translate errors of writing a :func:`temporary_file` in the block.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise _refused(tempfile.tempdir or "any directory", error.strerror or error) from error


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _refused(_database_directory(), error) from error


def _database_directory() -> str:
    """Return the directory that SQLite uses for temporary files."""
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), *FALLBACKS)
    usable = (each for each in named if each and Path(each).is_dir() and os.access(each, os.W_OK | os.X_OK))
    return next(usable, FALLBACKS[0])


def _refused(directory: str, reason: object) -> StoreError:
    return StoreError(
        f"cannot write temporary files in {directory}: {reason}. Free some space there, or name another "
        "directory in TMPDIR (of databases in SQLITE_TMPDIR, if that is set)"
    )


def database_key(query: str) -> bytes:
    """Return *query* as bytes: SQLite has no text with half a surrogate pair."""
    return query.encode("utf-8", "surrogatepass")


def text_from_key(key: bytes) -> str:
    """Return the text of a :func:`database_key`."""
    return key.decode("utf-8", "surrogatepass")
