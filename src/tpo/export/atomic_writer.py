"""Files that appear whole or not at all, written as a stream."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tpo.errors import StoreError
from tpo.store.own_files import refuse_own_file

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Exported:
    """Result of an export: number of records *written*, and of queries left out.

    ``written``: queries; of preference pairs, pairs. ``left_out``: failed queries. ``nothing``: queries of
    which the options keep nothing. ``not_text``: queries whose turns hold more than text.
    """

    written: int
    left_out: int = 0
    nothing: int = 0
    not_text: int = 0


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside *path* to write to, which takes its place at the end, or goes away after an error.

    Raises:
        StoreError: it cannot be written, or is a run's own file; what stood at *path* still stands there.
    """
    if path.is_dir():  # also what an empty name stands for
        raise StoreError(f"cannot write {path}: it is a directory; name a file in it")
    if path.exists() and not path.is_file():  # a device or a pipe, such as /dev/stdout
        yield path
        return
    refuse_own_file(path)
    path = Path(os.path.realpath(path))  # a link stays one
    # The name is short since that of *path* may be as long as a name can be.
    fresh = path.with_name(f".tpo-{os.getpid()}-{next(_numbers)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield fresh
        _sync(fresh)
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it has taken its place, or was never made
            fresh.unlink()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def replacing_text(path: Path) -> Iterator[TextIO]:
    r"""As :func:`replacing`, open for text in UTF-8, line ends as they are given.

    Half of a surrogate pair, which UTF-8 cannot hold, is written as JSON writes it: ``\ud83d``.
    """
    with (
        replacing(path) as fresh,
        fresh.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file


def write_json_list(path: Path, values: Iterable[object]) -> int:
    """Write *values* as ``json.dump(list(values), indent=4, ensure_ascii=False)`` would, one at a time.

    Returns how many there were.
    """
    count = 0
    with replacing_text(path) as file:
        for value in values:
            # A line feed in the text of a JSON document is layout, never part of a string.
            text = json.dumps(value, ensure_ascii=False, indent=4).replace("\n", "\n    ")
            file.write(f"{',' if count else '['}\n    {text}")
            count += 1
        file.write("\n]" if count else "[]")
    return count
