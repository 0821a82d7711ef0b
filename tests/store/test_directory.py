import contextlib
import os
import resource
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.store.values import trajectory
from tpo.errors import StoreBusy, StoreError, StoreMismatch
from tpo.store import RunDirectory, is_complete, read_run, read_trajectories
from tpo.store.jsonline import seal
from tpo.types import Completion, Query, Scope, user

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


async def test_a_run_without_its_run_json_names_the_repair(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    (tmp_path / "run.json").unlink()
    with pytest.raises(StoreError, match=rf"`tpo repair {tmp_path}` restores it"):
        opened(tmp_path)


async def test_a_line_that_is_no_trajectory_does_not_block_a_resume(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        await directory.append(trajectory("q0"))
    head = {"digest": "", "status": "finished", "stop_reason": "error", "iterations": 0}
    with (tmp_path / "trajectories.jsonl").open("ab") as file:
        file.write(seal({"schema": 2, "id": "q1", **head, "query": {"id": "q1"}}))
        file.write(b'{"schema": 2, "query": {"id": "q2"}, "status": "finished"}\n')
    async with opened(tmp_path) as directory:
        assert list(directory.read_finished()) == [trajectory("q0")]
        assert directory.finished == {"q0"}


async def test_more_iterations_reopen_the_queries_that_used_up_theirs(tmp_path: Path) -> None:
    early = replace(trajectory("early"), stop_reason="target")
    async with opened(tmp_path, {"method.max_iterations": 1}) as directory:
        await directory.append(trajectory("q0"))
        await directory.append(early)
        assert directory.finished == {"q0", "early"}
    async with opened(tmp_path, {"method.max_iterations": 2}) as directory:
        assert directory.finished == {"early"}
        assert directory.earlier(trajectory("q0").query) == trajectory("q0")
        assert directory.earlier(early.query) is None
        assert directory.record.fingerprint == {"method.max_iterations": 2}
    with pytest.raises(StoreMismatch, match="2 there, 1 now"):
        opened(tmp_path, {"method.max_iterations": 1})


async def test_a_query_that_fails_while_it_is_continued_keeps_its_answer_and_is_tried_again(
    tmp_path: Path,
) -> None:
    failed = trajectory("q0", error="server gone")
    async with opened(tmp_path, {"method.max_iterations": 1}) as directory:
        await directory.append(trajectory("q0"))
    async with opened(tmp_path, {"method.max_iterations": 2}) as directory:
        await directory.append(failed)
    async with opened(tmp_path, {"method.max_iterations": 2}) as directory:
        assert directory.finished == set()
        assert list(directory.read(list(directory.failed.values()))) == [failed]
        assert directory.earlier(failed.query) == trajectory("q0")
    assert list(read_trajectories(tmp_path)) == [trajectory("q0")]


async def test_a_run_is_complete_if_every_query_has_used_the_iterations_allowed(tmp_path: Path) -> None:
    fingerprint, asked = {"method.max_iterations": 1}, [trajectory(query).query for query in ("q0", "q1")]
    async with opened(tmp_path, fingerprint) as directory:
        await directory.append(trajectory("q0"))
        assert not is_complete(tmp_path, fingerprint, asked)
        await directory.append(trajectory("q1"))
    assert is_complete(tmp_path, fingerprint, asked)
    assert not is_complete(tmp_path, {"method.max_iterations": 2}, asked)
    assert not is_complete(tmp_path, fingerprint, [*asked, Query("q2", asked[0].messages)])
    with pytest.raises(StoreMismatch, match="query 'q1': its messages"):
        is_complete(tmp_path, fingerprint, [Query("q1", (user("other"),))])
    with pytest.raises(StoreMismatch, match="1 there, 0 now"):
        is_complete(tmp_path, {"method.max_iterations": 0}, asked)
    with pytest.raises(StoreMismatch, match="1 there, 0 now"):
        is_complete(tmp_path, {"method.max_iterations": 0}, None)
    assert not is_complete(tmp_path, fingerprint, None)


async def test_data_may_grow_or_shrink_but_not_be_another(tmp_path: Path) -> None:
    old, new = {"data": "sha256:ab"}, {"data": "sha256:cd"}
    asked = [trajectory(query).query for query in ("q0", "q1", "q2")]
    async with opened(tmp_path, old) as directory:
        await directory.append(trajectory("q0"))
        await directory.append(trajectory("q1"))
    assert not is_complete(tmp_path, new, asked[::-1])
    assert is_complete(tmp_path, new, asked[:1])
    with pytest.raises(StoreMismatch, match="none of its 2 queries is in the data now"):
        is_complete(tmp_path, new, asked[2:])
    with pytest.raises(StoreMismatch, match="query 'q1': its messages"):
        is_complete(tmp_path, new, [asked[2], Query("q1", (user("other"),))])


async def test_rows_may_be_added_and_moved_but_not_changed(tmp_path: Path) -> None:
    kept = trajectory("q0").query
    async with opened(tmp_path, {"data": "sha256:ab"}) as directory:
        await directory.append(trajectory("q0"))
        assert directory.is_finished(kept)
    async with opened(tmp_path, {"data": "sha256:cd"}) as directory:
        assert directory.is_finished(replace(kept, metadata={"position": 7}))
        assert not directory.is_finished(Query("q1", kept.messages))
        for changed in (Query("q0", (user("other"),)), replace(kept, reference="new")):
            with pytest.raises(
                StoreMismatch, match=r"query 'q0': its messages or its reference have changed"
            ):
                directory.is_finished(changed)


READ = {"tests": ["a"], "other": 1}
"""A row of which a reward reads the column ``tests``."""


async def test_a_column_that_a_reward_reads_may_not_change_either(tmp_path: Path) -> None:
    kept = replace(trajectory("q0"), query=replace(trajectory("q0").query, metadata=READ))
    changed = replace(kept.query, metadata=READ | {"tests": ["b"]})
    old, new = {"data": "sha256:ab"}, {"data": "sha256:cd"}
    async with opened(tmp_path, old, columns=["tests"]) as directory:
        await directory.append(kept)
    words = "query 'q0': its column 'tests', which a reward reads, has changed"
    async with opened(tmp_path, new, columns=["tests"]) as directory:
        assert directory.is_finished(replace(kept.query, metadata=READ | {"other": 2}))
        with pytest.raises(StoreMismatch, match=words):
            directory.is_finished(changed)
        with pytest.raises(StoreMismatch, match=words):
            is_complete(tmp_path, new, [changed], ["tests"])
        assert is_complete(tmp_path, new, [changed])
    async with opened(tmp_path, new) as directory:  # nothing reads it
        assert directory.is_finished(changed)


async def test_a_failed_query_starts_again_where_such_a_column_has_changed(tmp_path: Path) -> None:
    failed = trajectory("q0", error="server gone")
    failed = replace(failed, query=replace(failed.query, metadata=READ))
    async with opened(tmp_path, {"data": "sha256:ab"}, columns=["tests"]) as directory:
        await directory.append(failed)
    async with opened(tmp_path, {"data": "sha256:cd"}, columns=["tests"]) as directory:
        assert directory.earlier(failed.query) is not None
        assert directory.earlier(replace(failed.query, metadata={"tests": ["b"]})) is None


async def test_a_run_ends_without_any_file_descriptor_left(tmp_path: Path) -> None:
    directory = opened(tmp_path)
    await directory.journal.append(SAMPLE, "r", Completion(0, "x"))
    await directory.append(trajectory("q1"))
    with no_descriptors_left():
        await directory.end({"finished": 1}, 105.0, interrupted=False)
        await directory.close()
    assert (tmp_path / "journal.jsonl").read_bytes() == b""
    assert read_run(tmp_path).totals == {"finished": 1}


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Let this process open as many files as it has open."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    most = 4096 if limits[1] == resource.RLIM_INFINITY else min(4096, limits[1])  # above what is open
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, limits[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken:
            os.close(descriptor)


@pytest.mark.parametrize("name", ["trajectories.jsonl", "journal.jsonl", ".lock"])
def test_nothing_is_written_through_a_symbolic_link(tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "run" / name).symlink_to(tmp_path / "victim")
    if name == ".lock":
        with pytest.raises(StoreError, match="it is a symbolic link"):
            opened(tmp_path / "run")
    else:
        with pytest.raises(StoreError, match=r"holds|symbolic link"):
            opened(tmp_path / "run")
    assert (tmp_path / "victim").read_text() == "precious"


async def test_a_link_planted_later_is_refused_as_well(tmp_path: Path) -> None:
    async with opened(tmp_path / "run"):
        pass
    (tmp_path / "victim").write_text("precious")
    for name in ("trajectories.jsonl", "journal.jsonl"):
        (tmp_path / "run" / name).unlink()
        (tmp_path / "run" / name).symlink_to(tmp_path / "victim")
        with pytest.raises(StoreError, match=rf"cannot open .*{name}: it is a symbolic link"):
            opened(tmp_path / "run")
        (tmp_path / "run" / name).unlink()
    assert (tmp_path / "victim").read_text() == "precious"


async def test_links_under_the_names_of_new_files_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "run").mkdir()
    for name in ("run.json.new", "run.json.bak", "run.json.bak.new", "journal.jsonl.new"):
        (tmp_path / "run" / name).symlink_to(tmp_path / "victim")
    async with opened(tmp_path / "run", fresh=True) as directory:
        await directory.journal.append(SAMPLE, "r", Completion(0, "x"))
        await directory.append(trajectory("q1"))
        await directory.end({}, 105.0, interrupted=False)
    assert (tmp_path / "victim").read_text() == "precious"
    assert not any(path.is_symlink() for path in (tmp_path / "run").iterdir())


async def test_modes_that_the_user_set_stay(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        set_modes(tmp_path, 0o600)
        await directory.journal.append(SAMPLE, "r", Completion(0, "x"))
        await directory.append(trajectory("q1"))
        await directory.end({}, 105.0, interrupted=False)
    names = ("run.json", "run.json.bak", "trajectories.jsonl", "journal.jsonl", ".lock")
    assert modes(tmp_path) == dict.fromkeys(names, 0o600)


def set_modes(path: Path, mode: int) -> None:
    for file in path.iterdir():
        file.chmod(mode)


def modes(path: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in path.iterdir()}


def test_a_run_of_schema_1_is_refused_in_one_sentence(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "schema1", tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(
        StoreMismatch,
        match=r"\(schema 1\), which report, view and export read but which cannot be resumed: .*",
    ):
        opened(tmp_path / "run")
    assert before.items() <= contents(tmp_path / "run").items()


async def test_another_versions_trajectories_are_refused_and_the_lock_given_back(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    (tmp_path / "trajectories.jsonl").write_bytes(seal({"schema": 9}))
    for _ in range(2):
        with pytest.raises(StoreError, match="line 1: schema version 9"):
            opened(tmp_path)


def test_a_file_in_its_place_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(StoreError, match=r"cannot use .*run as a run's directory: File exists"):
        opened(tmp_path / "run")
