"""Blocks that a run on Ray left, as the next opening of its directory finds them."""

from pathlib import Path
from typing import Any

from tests.store.test_directory import FINGERPRINT, SAMPLE, opened
from tests.store.values import trajectory
from tpo.store import read_trajectories
from tpo.store.lock import Lock
from tpo.types import Completion


async def interrupted(path: Path, fingerprint: dict[str, Any] = FINGERPRINT) -> Path:
    """A run that holds "a", and a block of it that holds "a", "b", the failed "c" and a call of "q1"."""
    async with opened(path, fingerprint) as directory:
        await directory.append(trajectory("a"))
    block = path / "shards" / "block-1"
    async with opened(block) as directory:
        await directory.append(trajectory("a"))
        await directory.append(trajectory("b"))
        await directory.append(trajectory("c", error="gone"))
        await directory.journal.append(SAMPLE, "r", Completion(0, "paid for"))
    return block


def ids(path: Path) -> list[str]:
    return [each.query.id for each in read_trajectories(path)]


async def test_finished_work_of_blocks_joins_the_run(tmp_path: Path) -> None:
    await interrupted(tmp_path)
    async with opened(tmp_path) as directory:
        assert directory.finished == {"a", "b"}
        assert directory.journal.completion(SAMPLE, 0, "r") == Completion(0, "paid for")
    assert (tmp_path / "trajectories.jsonl").read_bytes().count(b"\n") == 2
    assert ids(tmp_path) == ["a", "b"]
    assert not (tmp_path / "shards").exists()


async def test_entries_that_the_journal_has_are_not_added_again(tmp_path: Path) -> None:
    block = await interrupted(tmp_path)
    entry = (block / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(entry + b"torn")
    async with opened(tmp_path):
        pass
    assert (tmp_path / "journal.jsonl").read_bytes() == entry


async def test_a_block_in_use_stays(tmp_path: Path) -> None:
    block = await interrupted(tmp_path)
    held = Lock(block)
    async with opened(tmp_path) as directory:
        assert directory.finished == {"a"}
    held.release()
    assert ids(block) == ["a", "b", "c"]


async def test_parts_of_a_run_that_keeps_them_stay(tmp_path: Path) -> None:
    fingerprint = FINGERPRINT | {"parts": True}
    block = await interrupted(tmp_path, fingerprint)
    async with opened(tmp_path, fingerprint) as directory:
        assert directory.finished == {"a"}
    assert ids(block) == ["a", "b", "c"]
