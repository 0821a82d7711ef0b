"""Write files safely: replaced atomically, modes kept, never through a symbolic link."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tpo.errors import StoreError


def open_file(path: Path, flags: int = 0) -> int:
    """Open *path* for reading and writing, or create it; return its descriptor.

    Raises:
        OSError: it cannot be opened, or is a symbolic link (``ELOOP``).
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, 0o666)  # less the user's umask


def reason(error: OSError) -> str:
    """Return the system's words for *error*."""
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, which a run does not write through"
    return error.strerror or str(error)


def replace_file(path: Path, content: bytes) -> None:
    """Replace *path* atomically by a file of *content*; keep its mode.

    Raises:
        StoreError: it could not be written; the old file is intact.
    """
    try:
        os.close(rewrite_file(path, lambda file: file.write(content)))
        sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {reason(error)}") from error


def rewrite_file(path: Path, write: Callable[[BinaryIO], object]) -> int:
    """Replace *path* atomically by what *write* writes into a new file; keep its mode.

    Call :func:`sync_directory` afterwards: until then a power failure may bring the old file back.

    Returns:
        A descriptor of the new file, open for appending.

    Raises:
        OSError: it could not be written; the old file is intact.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = open_file(fresh, os.O_EXCL | os.O_APPEND)
    try:
        _copy_mode(path, descriptor)
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            write(file)
        os.fsync(descriptor)
        fresh.replace(path)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    return descriptor


class Reserve:
    """Reserved file descriptors, for work that must succeed when the process has none left.

    Raises:
        StoreError: there are too few.
    """

    def __init__(self, count: int) -> None:
        self._held: list[int] = []
        try:
            for _ in range(count):
                self._held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            self.release()
            raise StoreError(f"cannot open any more files: {reason(error)} (ulimit -n)") from error

    def release(self) -> None:
        """Close them."""
        while self._held:
            os.close(self._held.pop())


def sync_directory(path: Path) -> None:
    """Sync the entries of the directory *path* to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_mode(path: Path, descriptor: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            os.fchmod(descriptor, stat.S_IMODE(mode))
