"""Write files of a run directory: never through a symbolic link, replaced at once, their modes kept."""

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
    """Open *path* itself for reading and writing, or make it; return its descriptor.

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
    """Replace *path* by a file of *content*, at once or not at all; its mode stays.

    Raises:
        StoreError: it could not be written; what stood there is intact.
    """
    try:
        os.close(rewrite_file(path, lambda file: file.write(content)))
        sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {reason(error)}") from error


def rewrite_file(path: Path, write: Callable[[BinaryIO], object]) -> int:
    """Replace *path* by what *write* writes into a new file, at once or not at all; its mode stays.

    Call :func:`sync_directory` afterwards: until then a power failure may bring the old file back.

    Returns:
        A descriptor of the new file, open for appending.

    Raises:
        OSError: it could not be written; what stood there is intact.
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
    """File descriptors held back, so that some are left when a process has used up its own.

    Raises:
        StoreError: there are none left already.
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
        """Give them back."""
        while self._held:
            os.close(self._held.pop())


def sync_directory(path: Path) -> None:
    """Put on disk which files the directory *path* holds."""
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
