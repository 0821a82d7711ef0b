"""Append-only file of lines: appended lines are on disk, an incomplete last line is cut off.

Appends share group commits: while a write and fsync is under way in the file's single thread, the next lines
are collected and written together.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tpo.errors import StoreError
from tpo.store.files import open_file, reason, rewrite_file, sync_directory

log = logging.getLogger(__name__)

Write = Callable[[int, memoryview], int]
"""As :func:`os.write`: write bytes to a file descriptor and return their number."""

Keep = Callable[[bytes], bool]
"""Predicate: does a line (line feed included) stay when the file is rewritten."""

BLOCK = 1 << 16


class AppendFile:
    """The lines at *path*, created if missing. *write* is for tests that need a failing disk.

    Raises:
        StoreError: it cannot be opened or created.
    """

    def __init__(self, path: Path, *, write: Write = os.write) -> None:
        self.path = path
        self._write = write
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"tpo-{path.stem}")
        try:
            self._descriptor = open_file(path, os.O_APPEND)
            self.size = _cut_torn_end(self._descriptor, path)
            sync_directory(path.parent)
        except OSError as error:
            raise StoreError(f"cannot open {path}: {reason(error)}") from error

    async def append(self, line: bytes) -> None:
        """Return once *line*, which ends with its only line feed, is on disk.

        Raises:
            StoreError: it could not be written; what the file held before is intact.
        """
        await self.enqueue(line)

    def append_now(self, lines: bytes) -> None:
        """As :meth:`append` for several *lines*, in the caller's thread, while nothing is being appended."""
        try:
            if lines:
                self._commit(lines)
        except OSError as error:
            raise self._failed(error) from error

    def enqueue(self, line: bytes) -> asyncio.Future[None]:
        """Start to write *line* and return a future that is done once it is on disk."""
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        self._pending.append((line, written))
        if self._flushing is None or self._flushing.done():
            self._flushing = loop.create_task(self._flush())
        return written

    async def rewrite(self, keep: Keep) -> None:
        """Replace the file atomically by one that holds only the lines that *keep* accepts.

        Raises:
            StoreError: that failed; the file is as it was.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self.rewrite_now, keep)

    async def flush(self) -> None:
        """Return once no line is pending."""
        if self._flushing is not None:
            await self._flushing

    async def close(self) -> None:
        """Write pending lines and close the file."""
        await self.flush()
        self.close_now()

    def close_now(self) -> None:
        """Close the file; no line may be pending."""
        self._thread.shutdown()
        os.close(self._descriptor)

    def rewrite_now(self, keep: Keep) -> None:
        """As :meth:`rewrite`, in the caller's thread, while nothing is being appended."""
        try:
            with self.path.open("rb") as old:
                kept = (line for line in old if keep(line))
                fresh = rewrite_file(self.path, lambda new: new.writelines(kept))
            os.close(self._descriptor)
            self._descriptor = fresh
            self.size = os.fstat(fresh).st_size
            sync_directory(self.path.parent)
        except OSError as error:
            raise StoreError(f"cannot rewrite {self.path}: {reason(error)}") from error

    async def _flush(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            try:
                await self._commit_all(batch)
            finally:  # the loop may be shutting down: release all waiters
                for _, written in batch:
                    written.cancel()

    async def _commit_all(self, batch: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        data = b"".join(line for line, _ in batch)
        failure = None
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, data)
        except OSError as error:
            failure = self._failed(error)
        for _, written in batch:
            _settle(written, failure)

    def _commit(self, data: bytes) -> None:
        """Write and sync all of *data*; after an error, none of it is left."""
        try:
            left = memoryview(data)
            while left:
                left = left[self._write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # a torn end is cut off on the next opening as well
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def _failed(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot write to {self.path}: {error.strerror}. What it held is intact: "
            "fix the cause and start the same command again to resume"
        )


def _settle(written: asyncio.Future[None], failure: StoreError | None) -> None:
    if written.done():  # the waiter was cancelled
        return
    if failure is None:
        written.set_result(None)
    else:
        written.set_exception(failure)


def _cut_torn_end(descriptor: int, path: Path) -> int:
    """Cut off what follows the last line feed; return the size that is left."""
    size = os.fstat(descriptor).st_size
    whole = _end_of_last_line(descriptor, size)
    if whole < size:
        log.info("%s: the last line was cut off while it was written, and is left out", path)
        os.ftruncate(descriptor, whole)
        os.fsync(descriptor)
    return whole


def _end_of_last_line(descriptor: int, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - BLOCK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
