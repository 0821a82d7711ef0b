import json
from pathlib import Path
from typing import Any

import pytest

from tests.store.values import trajectory
from tpo.errors import StoreBusy, StoreError, StoreMismatch
from tpo.store import RunDirectory, read_run, read_trajectories
from tpo.types import Completion, Scope

FINGERPRINT = {"method.name": "tpo", "seed": 7}
SAMPLE = Scope("q1", 0, "sample")


def opened(path: Path, fingerprint: dict[str, Any] = FINGERPRINT, **options: Any) -> RunDirectory:
    options = {"configuration": {"concurrency": 4}} | options
    return RunDirectory.open(path, fingerprint=fingerprint, clock=lambda: 100.0, **options)


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


async def test_a_new_run_is_made_with_its_parents(tmp_path: Path) -> None:
    async with opened(tmp_path / "runs" / "first") as directory:
        assert not directory.resumed
        assert not directory.finished
    assert read_run(tmp_path / "runs" / "first").fingerprint == FINGERPRINT


async def test_a_run_is_gone_on_with(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        await directory.append(trajectory("q0"))
        await directory.append(trajectory("q2", error="server gone"))
        await directory.journal.append(SAMPLE, "r", Completion(0, "paid for"))
        await directory.end({}, 105.0, interrupted=True)
    async with opened(tmp_path) as directory:
        assert directory.resumed
        assert directory.finished == {"q0"}
        assert list(directory.failed) == ["q2"]
        assert list(directory.read_finished()) == [trajectory("q0")]
        assert list(directory.read(list(directory.failed.values()))) == [
            trajectory("q2", error="server gone")
        ]
        assert directory.journal.completion(SAMPLE, 0, "r") == Completion(0, "paid for")
        assert directory.seconds_until(110.0) == 15.0


async def test_a_failed_query_that_later_finishes_counts_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        await directory.append(trajectory("q0", error="server gone"))
    async with opened(tmp_path) as directory:
        await directory.append(trajectory("q0"))
    async with opened(tmp_path) as directory:
        assert directory.finished == {"q0"}
        assert not directory.failed
    assert list(read_trajectories(tmp_path)) == [trajectory("q0")]


async def test_a_complete_end_empties_the_journal(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        await directory.journal.append(SAMPLE, "r", Completion(0, "x"))
        await directory.append(trajectory("q1"))
        await directory.end({"finished": 1}, 101.0, interrupted=False)
    assert (tmp_path / "journal.jsonl").read_bytes() == b""
    assert read_run(tmp_path).totals == {"finished": 1}


async def test_a_failed_querys_calls_stay_in_the_journal(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        await directory.journal.append(SAMPLE, "r", Completion(0, "x"))
        await directory.append(trajectory("q1", error="server gone"))
        await directory.end({}, 101.0, interrupted=False)
    async with opened(tmp_path) as directory:
        assert directory.journal.calls == 1


async def test_another_configuration_may_go_on_and_is_noted(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    async with opened(tmp_path, configuration={"concurrency": 64}):
        pass
    record = read_run(tmp_path)
    assert record.configuration == {"concurrency": 64}
    assert len(record.invocations) == 2


async def test_another_fingerprint_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        await directory.append(trajectory("q0"))
    before = contents(tmp_path)
    with pytest.raises(StoreMismatch, match="seed: 7 there, 8 now"):
        opened(tmp_path, {**FINGERPRINT, "seed": 8})
    assert contents(tmp_path) == before
    async with opened(tmp_path):
        pass


async def test_fresh_throws_the_old_run_away_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    async with opened(tmp_path) as directory:
        await directory.append(trajectory("q0"))
        await directory.journal.append(SAMPLE, "r", Completion(0, "x"))
    async with opened(tmp_path, {"seed": 8}, fresh=True) as directory:
        assert not directory.resumed
        assert not directory.finished
        assert directory.journal.calls == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert read_run(tmp_path).fingerprint == {"seed": 8}


async def test_two_at_a_time_are_refused_even_to_start_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        await directory.append(trajectory("q0"))
        for fresh in (False, True):
            with pytest.raises(StoreBusy, match=str(tmp_path)):
                opened(tmp_path, fresh=fresh)
    assert len(list(read_trajectories(tmp_path))) == 1


@pytest.mark.parametrize("name", ["trajectories.jsonl", "journal.jsonl"])
async def test_files_without_their_run_json_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(StoreError, match=rf"holds {name} but no run\.json.*--fresh"):
        opened(tmp_path)
    async with opened(tmp_path, fresh=True):
        pass


async def test_a_damaged_run_json_is_refused_and_the_lock_given_back(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"run\.json is damaged"):
            opened(tmp_path)


async def test_another_versions_trajectories_are_refused_and_the_lock_given_back(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    (tmp_path / "trajectories.jsonl").write_text(json.dumps({"schema": 2}) + "\n")
    for _ in range(2):
        with pytest.raises(StoreError, match="line 1: schema version 2"):
            opened(tmp_path)


def test_a_file_in_its_place_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(StoreError, match=r"cannot use .*run as a run's directory: File exists"):
        opened(tmp_path / "run")
