from pathlib import Path

import pytest

from tests.store.test_directory import SAMPLE, contents, opened
from tests.store.values import trajectory
from tpo.errors import StoreBusy, StoreError
from tpo.store import Repaired, read_trajectories, repair
from tpo.types import Completion, Scope

SCHEMA_1 = Path(__file__).parent / "schema1"


@pytest.fixture
async def run(tmp_path: Path) -> Path:
    """Two finished queries, one failed, two calls of another."""
    async with opened(tmp_path) as directory:
        for query in ("a", "b"):
            await directory.append(trajectory(query))
        await directory.append(trajectory("c", error="gone"))
        await directory.journal.append(SAMPLE, "r", Completion(0, "x"))
        await directory.journal.append(Scope("q1", 0, "sample"), "r", Completion(1, "y"))
    return tmp_path


def damage(file: Path, old: bytes, new: bytes) -> None:
    content = file.read_bytes()
    assert content.count(old) == 1
    file.write_bytes(content.replace(old, new))


def test_a_whole_run_stays_as_it_is(run: Path) -> None:
    before = contents(run)
    nothing = {"trajectories.jsonl": 0, "journal.jsonl": 0}
    assert repair(run) == Repaired(
        finished=2, failed=1, calls=2, damaged=nothing, restored=False, resumable=True
    )
    assert contents(run) == before


async def test_a_query_that_failed_while_it_was_continued_counts_as_failed(run: Path) -> None:
    async with opened(run) as directory:
        await directory.append(trajectory("a", error="gone"))
    found = repair(run)
    assert (found.finished, found.failed) == (1, 2)


async def test_damaged_lines_are_set_aside_and_their_queries_done_again(run: Path) -> None:
    damage(run / "trajectories.jsonl", b'"id":"b","digest"', b'"id":"B","digest"')
    damage(run / "journal.jsonl", b'"text":"y"', b'"text":"z"')
    with (run / "trajectories.jsonl").open("ab") as file:
        file.write(b'{"valid": "json"}\ntorn')
    found = repair(run)
    assert (found.finished, found.failed, found.calls) == (1, 1, 1)
    assert found.damaged == {"trajectories.jsonl": 3, "journal.jsonl": 1}
    assert (run / "trajectories.jsonl.damaged").read_bytes().endswith(b'{"valid": "json"}\ntorn\n')
    assert b'"text":"z"' in (run / "journal.jsonl.damaged").read_bytes()
    assert [t.query.id for t in read_trajectories(run)] == ["a", "c"]
    assert repair(run).damaged == {"trajectories.jsonl": 0, "journal.jsonl": 0}
    async with opened(run) as directory:
        assert directory.finished == {"a"}
        assert directory.journal.completion(SAMPLE, 0, "r") == Completion(0, "x")
        assert directory.journal.completion(SAMPLE, 1, "r") is None


@pytest.mark.parametrize("content", [b"{", b"", None])
async def test_a_damaged_run_json_is_restored(run: Path, content: bytes | None) -> None:
    before = (run / "run.json").read_bytes()
    (run / "run.json").unlink()
    if content is not None:
        (run / "run.json").write_bytes(content)
    assert repair(run).restored
    assert (run / "run.json").read_bytes() == before
    async with opened(run) as directory:
        assert directory.finished == {"a", "b"}


def test_a_run_json_without_a_whole_backup_cannot_be_restored(run: Path) -> None:
    (run / "run.json").write_bytes(b"{")
    (run / "run.json.bak").write_bytes(b"{")
    with pytest.raises(StoreError, match=r"run\.json\.bak is damaged"):
        repair(run)
    (run / "run.json.bak").unlink()
    with pytest.raises(StoreError, match=r"no run\.json\.bak: the run cannot be resumed"):
        repair(run)


def test_a_torn_line_of_schema_1_is_set_aside_even_if_it_is_whole_json(tmp_path: Path) -> None:
    for name in ("run.json", "trajectories.jsonl", "journal.jsonl"):
        content = (SCHEMA_1 / name).read_bytes()
        (tmp_path / name).write_bytes(content.rstrip(b"\n"))
    found = repair(tmp_path)
    assert (found.finished, found.failed, found.damaged) == (4, 0, {"trajectories.jsonl": 1})
    assert not found.resumable


async def test_parts_of_a_run_that_keeps_them_are_repaired_with_it(run: Path, tmp_path: Path) -> None:
    part = run / "shards" / "block-1"
    async with opened(part) as directory:
        for query in ("d", "e"):
            await directory.append(trajectory(query))
    (run / "parts.jsonl").touch()
    damage(part / "trajectories.jsonl", b'"id":"e","digest"', b'"id":"E","digest"')
    (part / "run.json").write_bytes(b"{")
    found = repair(run)
    assert (found.finished, found.failed, found.restored) == (3, 1, True)
    assert {name for name, lines in found.damaged.items() if lines} == {"shards/block-1/trajectories.jsonl"}
    assert [each.query.id for each in read_trajectories(run)] == ["a", "b", "c", "d"]


async def test_shards_are_repaired_before_they_are_merged(tmp_path: Path) -> None:
    async with opened(tmp_path / "shards" / "1-of-2") as directory:
        await directory.append(trajectory("a"))
    assert repair(tmp_path).finished == 1


async def test_a_lost_run_json_is_restored_above_shards_or_blocks(run: Path) -> None:
    before = (run / "run.json").read_bytes()
    for name in ("1-of-2", "block-1"):
        async with opened(run / "shards" / name, {"method.name": "other"}) as directory:
            await directory.append(trajectory("a"))
    (run / "run.json").unlink()
    assert repair(run).restored
    assert (run / "run.json").read_bytes() == before
    assert not repair(run).restored


async def test_shards_are_repaired_below_a_merge_that_was_cut_off(tmp_path: Path) -> None:
    async with opened(tmp_path / "shards" / "1-of-2") as directory:
        await directory.append(trajectory("a"))
        await directory.append(trajectory("b"))
    (tmp_path / "trajectories.jsonl").write_bytes(b"{")
    damage(tmp_path / "shards" / "1-of-2" / "trajectories.jsonl", b'"id":"b","digest"', b'"id":"B","digest"')
    found = repair(tmp_path)
    assert (found.finished, found.damaged["shards/1-of-2/trajectories.jsonl"]) == (1, 1)
    assert not (tmp_path / "run.json").exists()


async def test_a_run_in_blocks_that_lost_its_settings_is_not_called_whole(run: Path) -> None:
    async with opened(run / "shards" / "block-1") as directory:
        await directory.append(trajectory("d"))
    for name in ("run.json", "run.json.bak"):
        (run / name).unlink()
    with pytest.raises(StoreError, match="the run cannot be resumed"):
        repair(run)


async def test_a_run_under_way_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(StoreBusy):
            repair(tmp_path)


def test_a_place_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such directory"):
        repair(tmp_path / "missing")
    with pytest.raises(StoreError, match="no run is here"):
        repair(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == []
