import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.memory import memory_folder
from tpo.errors import StoreError
from tpo.store.lines import AppendFile


class FullDisk:
    """Takes *room* bytes, then says that there is no space left; :meth:`clear` makes room."""

    def __init__(self, room: int) -> None:
        self.room = room

    def clear(self) -> None:
        self.room = 1 << 20

    def __call__(self, descriptor: int, data: memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(descriptor, data[: self.room])
        self.room -= written
        return written


class CountingDisk:
    """Counts its writes, and lets none through before :attr:`gate` opens."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()

    def __call__(self, descriptor: int, data: memoryview) -> int:
        self.gate.wait(60)
        self.writes.append(bytes(data))
        self.threads.add(threading.get_ident())
        return os.write(descriptor, data)


async def test_an_append_is_in_the_file_when_it_returns(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "x.jsonl")
    await file.append(b"one\n")
    assert (tmp_path / "x.jsonl").read_bytes() == b"one\n"
    await file.append(b"two\n")
    assert (tmp_path / "x.jsonl").read_bytes() == b"one\ntwo\n"
    assert file.size == 8
    await file.close()


async def test_appends_that_meet_go_together_in_one_thread(tmp_path: Path) -> None:
    disk = CountingDisk()
    file = AppendFile(tmp_path / "x.jsonl", write=disk)
    appends = [asyncio.create_task(file.append(b"%d\n" % number)) for number in range(100)]
    await asyncio.sleep(0)
    disk.gate.set()
    await asyncio.gather(*appends)
    await file.close()
    assert b"".join(disk.writes) == b"".join(b"%d\n" % number for number in range(100))
    assert len(disk.writes) <= 2
    assert len(disk.threads) == 1


async def test_a_cancelled_append_reaches_the_disk_and_hurts_no_other(tmp_path: Path) -> None:
    disk = CountingDisk()
    file = AppendFile(tmp_path / "x.jsonl", write=disk)
    first, second = (asyncio.create_task(file.append(line)) for line in (b"one\n", b"two\n"))
    await asyncio.sleep(0)
    first.cancel()
    disk.gate.set()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    await file.close()
    assert (tmp_path / "x.jsonl").read_bytes() == b"one\ntwo\n"


async def test_a_full_disk_is_one_clear_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    disk = FullDisk(room=10)
    file = AppendFile(tmp_path / "x.jsonl", write=disk)
    await file.append(b"first\n")
    with pytest.raises(StoreError, match=r"cannot write to .*x\.jsonl: No space left on device"):
        await file.append(b"second\n")
    assert (tmp_path / "x.jsonl").read_bytes() == b"first\n"
    disk.clear()
    await file.append(b"third\n")
    await file.close()
    assert (tmp_path / "x.jsonl").read_bytes() == b"first\nthird\n"


@given(st.binary(max_size=40))
@settings(deadline=None, max_examples=50)
def test_what_follows_the_last_line_feed_is_cut_off(content: bytes) -> None:
    whole = content[: content.rfind(b"\n") + 1]
    assert reopened(content) == whole


@pytest.mark.parametrize("tail", [1 << 16, (1 << 16) + 1, 200_000])
def test_a_torn_line_may_be_longer_than_a_block(tail: int) -> None:
    assert reopened(b"whole\n" + b"x" * tail) == b"whole\n"
    assert reopened(b"x" * tail) == b""


def reopened(content: bytes) -> bytes:

    with memory_folder() as folder:
        path = folder / "x.jsonl"
        path.write_bytes(content)
        AppendFile(path).close_now()
        return path.read_bytes()


async def test_a_rewrite_keeps_what_it_is_told_and_appends_go_on(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "x.jsonl")
    for line in (b"keep 1\n", b"drop 2\n", b"keep 3\n"):
        await file.append(line)
    rewriting = asyncio.create_task(file.rewrite(lambda line: line.startswith(b"keep")))
    await file.append(b"drop later\n")
    await rewriting
    await file.append(b"end\n")
    await file.close()
    left = (tmp_path / "x.jsonl").read_bytes()
    assert left.replace(b"drop later\n", b"") == b"keep 1\nkeep 3\nend\n"
    assert file.size == len(left)
    assert not (tmp_path / "x.jsonl.new").exists()


async def test_a_rewrite_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "x.jsonl")
    await file.append(b"one\n")
    (tmp_path / "x.jsonl.new").mkdir()
    (tmp_path / "x.jsonl.new" / "in the way").touch()
    with pytest.raises(StoreError, match="cannot rewrite"):
        await file.rewrite(lambda line: False)
    await file.append(b"two\n")
    await file.close()
    assert (tmp_path / "x.jsonl").read_bytes() == b"one\ntwo\n"


def test_a_path_that_cannot_be_opened_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"cannot open .*x\.jsonl: Is a directory"):
        AppendFile(tmp_path / "x.jsonl")
