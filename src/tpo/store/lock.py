"""Lock of a run directory: one process at a time; the operating system releases it when the process ends."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from typing import Self

from tpo.errors import StoreBusy, StoreError
from tpo.store.files import open_file

NAME = ".lock"


class Lock:
    """Lock on *directory*, held until it is released, its ``with`` block or the process ends.

    Raises:
        StoreBusy: another process, or another part of this one, holds it.
        StoreError: the file system gives no locks.
    """

    def __init__(self, directory: Path) -> None:
        descriptor = open_file(directory / NAME)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise StoreBusy(
                f"{directory}: {holder} works in this run; wait until it ends, or give another --out"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise StoreError(f"{directory}: cannot be locked here: {error.strerror}") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def _holder(descriptor: int) -> str:
    found = re.fullmatch(rb"(\d{1,10})\n", os.pread(descriptor, 16, 0))
    return f"process {found[1].decode()}" if found else "another process"
