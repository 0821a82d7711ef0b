"""Files behind URLs of object stores (``s3://``, ``gs://``, ...), through fsspec: copied once, then read.

A run reads its data several times (check, digest, queries), so a file is copied to a temporary directory,
which is removed when the process ends. It is copied again if it has changed.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from tpo.data.text import TextFile
from tpo.errors import DataError, MissingExtra

EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gs"), "gcs": ("gcsfs", "gs")}
"""Library and extra by scheme; other schemes name their library themselves."""

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_WEB = ("http", "https")
_NUMBERS = count()


def is_url(name: str) -> bool:
    """Return whether *name* is a URL of a store of files; web addresses are none."""
    found = _URL.fullmatch(name)
    return found is not None and found["scheme"].lower() not in _WEB


def remote_files(url: str) -> list[TextFile]:
    """Return a copy of the file at *url*, or of the files that it matches as a pattern, by name.

    Raises:
        DataError: there is no such file, or it cannot be read.
        MissingExtra: the library for its scheme is not installed.
    """
    scheme = url.partition("://")[0]
    if re.search(r":[^/@]*@", url.partition("://")[2].partition("/")[0]):
        raise DataError(f"{scheme}://...: give credentials through the environment, not in the URL")
    with _errors(url):
        system, path = _system(url)
        paths = _paths(system, path, url)
        return [TextFile(_copy(system, each), _name(system, each)) for each in paths]


def _paths(system: Any, path: str, url: str) -> list[str]:
    system.invalidate_cache()
    if any(mark in path for mark in "*?["):
        found = sorted(each for each in system.glob(path) if system.isfile(each))
        if not found:
            raise DataError(f"{url}: no file matches it as a pattern")
        return found
    if system.isfile(path):
        return [path]
    if system.isdir(path):
        raise DataError(
            f"{url}: is a folder; name a file in it or a pattern such as {url.rstrip('/')}/*.jsonl"
        )
    raise DataError(f"{url}: no such file")


def _copy(system: Any, path: str) -> Path:
    """Return a local copy of the file at *path*; a local file is its own."""
    if "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)):
        return Path(path)
    return _copied(system, path, system.ukey(path))


@cache
def _copied(system: Any, path: str, version: str) -> Path:
    del version  # a key of the cache: it changes with the content
    copy = Path(_folder().name, f"{next(_NUMBERS)}-{path.rpartition('/')[2]}")
    system.get_file(path, str(copy))
    return copy


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tpo-data-")  # removed when the process ends


def _name(system: Any, path: str) -> str:
    return str(system.unstrip_protocol(path))


def _system(url: str) -> tuple[Any, str]:
    """Return the file system of *url*, and the path in it.

    Raises:
        MissingExtra: its library is not installed.
        DataError: there is no such scheme, or its library, which has no extra here, is not installed.
    """
    scheme = url.partition("://")[0].lower()
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra("fsspec", EXTRAS.get(scheme, ("", "data"))[1], f"reading {url}") from error
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        if scheme in EXTRAS:
            raise MissingExtra(*EXTRAS[scheme], f"reading {url}") from error
        raise DataError(f"{url}: cannot be read: {error}") from error
    return system, str(path)


@contextmanager
def _errors(url: str) -> Iterator[None]:
    try:
        yield
    except (DataError, MissingExtra):
        raise
    except Exception as error:  # the libraries of the stores have errors of their own
        said = " ".join(str(error).split())[:300]
        raise DataError(f"{url}: cannot be read: {type(error).__name__}: {said}") from error
