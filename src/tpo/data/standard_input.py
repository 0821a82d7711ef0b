"""Standard input as a file that can be read more than once."""

from __future__ import annotations

import shutil
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import IO, BinaryIO

from tpo.data.text import TextFile
from tpo.errors import DataError

NAME = "standard input"


def standard_input() -> TextFile:
    """Return what came through standard input, kept in a temporary file until the process ends.

    Raises:
        DataError: standard input is closed or a terminal, or the copy cannot be written.
    """
    stream = sys.stdin
    if stream is None or stream.isatty():
        raise DataError("-: reads the data from standard input: tpo run - < prompts.jsonl, or name a file")
    return _spool(stream.buffer)


def _spool(stream: BinaryIO) -> TextFile:
    """Return a temporary copy of *stream*, the same one each time.

    Raises:
        DataError: it cannot be read, or the copy cannot be written.
    """
    return TextFile(Path(_copy(stream).name), NAME)


@lru_cache(maxsize=1)
def _copy(stream: BinaryIO) -> IO[bytes]:
    copy = tempfile.NamedTemporaryFile(prefix="tpo-data-")  # noqa: SIM115 - removed when the process ends
    try:
        shutil.copyfileobj(stream, copy)
        copy.flush()
    except OSError as error:
        copy.close()
        raise DataError(f"{NAME}: cannot be copied to {tempfile.gettempdir()}: {error}") from error
    return copy
