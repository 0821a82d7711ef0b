import asyncio
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.memory import memory_folder
from tests.store.test_lines import FullDisk
from tpo.errors import StoreError
from tpo.store.journal import Decision, Journal, read_calls, request_hash
from tpo.store.jsonline import seal
from tpo.types import Completion, Scope, Score, Served, Usage, user

SLOW_DISK = settings(deadline=None, max_examples=50)

CALLS: list[tuple[Scope, str, Completion | Score]] = [
    (Scope("q0", 0, "sample"), "r0", Completion(0, "hello\n", "stop", Usage(1, 2, 3, 4))),
    (Scope("q0", 0, "sample"), "r0", Completion(1, "ü\ud800", "length", reasoning="hm")),
    (Scope("q0", 0, "reward", 0), "r1", Score(-0.1, 5)),
    (Scope("q1", 0, "sample"), "r2", Completion(0, "")),
    (Scope("q1", 0, "reward", 0), "r3", Score(1e300, 5, 2, {"member": 0.5})),
    (Scope("q2\n", 2, "update"), "r4", Completion(3, "x" * 50)),
    (Scope("q2\n", 2, "update", branch=1), "r4", Completion(3, "other branch", served=Served("u", 5, 1, 2))),
    (Scope("q2\n", 2, "update", ordinal=1), "r4", Completion(3, "other call")),
    (Scope("q2\n", 2, "reward", 3, ordinal=1), "r4", Score(0.5, criteria={"clear": 0.75})),
]


async def write(path: Path, calls: list[tuple[Scope, str, Completion | Score]] = CALLS) -> Journal:
    journal = Journal(path)
    for call in calls:
        await journal.append(*call)
    return journal


def find(
    journal: Journal, scope: Scope, request: str, answer: Completion | Score
) -> Completion | Score | None:
    if isinstance(answer, Completion):
        return journal.completion(scope, answer.index, request)
    return journal.score(scope, request)


def whole_journal() -> bytes:
    with memory_folder() as folder:
        path = folder / "journal.jsonl"
        asyncio.run(write_and_close(path))
        return path.read_bytes()


async def write_and_close(path: Path) -> None:
    await (await write(path)).close()


CONTENT = whole_journal()


def reopened(content: bytes) -> list[Completion | Score | None]:
    """What each call finds in a journal of *content*, and again after it was opened once."""
    with memory_folder() as folder:
        path = folder / "journal.jsonl"
        path.write_bytes(content)
        answers = []
        for _ in range(2):
            journal = Journal(path)
            answers.append([find(journal, *call) for call in CALLS])
            journal.close_now()
    assert answers[0] == answers[1]
    return answers[0]


async def test_what_was_appended_answers_after_reopening(tmp_path: Path) -> None:
    await write_and_close(tmp_path / "journal.jsonl")
    journal = Journal(tmp_path / "journal.jsonl")
    assert [find(journal, *call) for call in CALLS] == [answer for _, _, answer in CALLS]
    assert journal.calls == len(CALLS)
    await journal.close()


def test_another_request_index_or_place_does_not_answer() -> None:
    with memory_folder() as folder:
        path = folder / "journal.jsonl"
        path.write_bytes(CONTENT)
        journal = Journal(path)
        assert journal.completion(Scope("q0", 0, "sample"), 0, "other") is None
        assert journal.completion(Scope("q0", 0, "sample"), 2, "r0") is None
        assert journal.completion(Scope("q0", 1, "sample"), 0, "r0") is None
        assert journal.completion(Scope("q9", 0, "sample"), 0, "r0") is None
        assert journal.score(Scope("q0", 0, "reward", 1), "r1") is None
        journal.close_now()


@given(st.integers(0, len(CONTENT)))
@SLOW_DISK
def test_a_journal_cut_at_any_byte_keeps_every_whole_line(cut: int) -> None:
    whole = CONTENT[:cut].count(b"\n")
    expected = [answer if number < whole else None for number, (_, _, answer) in enumerate(CALLS)]
    assert reopened(CONTENT[:cut]) == expected


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
@SLOW_DISK
def test_a_flipped_byte_loses_its_line_and_never_gives_a_wrong_answer(place: int, mask: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[place] ^= mask
    answers = reopened(bytes(damaged))
    lost = [number for number, answer in enumerate(answers) if answer is None]
    hit = CONTENT[:place].count(b"\n")
    assert set(lost) <= {hit, hit + 1}, "a line feed that is hit joins two lines"
    assert all(answer in (None, call[2]) for answer, call in zip(answers, CALLS, strict=True))


def test_damage_is_told_once_with_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = CONTENT.splitlines(keepends=True)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(lines[0] + b"rubbish\n\n" + seal({"schema": 2, "query": "q"}) + lines[1])
    with caplog.at_level(logging.WARNING):
        Journal(path).close_now()
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: 3 damaged lines are left out; their calls are made again"
    ]


def test_another_schema_version_is_refused_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(seal({"schema": 9}))
    with pytest.raises(StoreError, match=r"journal\.jsonl: schema version 9"):
        Journal(path)


def test_entries_of_finished_queries_are_dropped_on_opening(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(CONTENT)
    journal = Journal(path, finished={"q0", "q2\n"})
    assert [find(journal, *call) is None for call in CALLS] == [True] * 3 + [False] * 2 + [True] * 4
    assert path.read_bytes() == b"".join(CONTENT.splitlines(keepends=True)[3:5])
    journal.close_now()


def test_a_line_that_a_crash_cut_is_none_of_the_calls(tmp_path: Path) -> None:
    first, *_ = CONTENT.splitlines(keepends=True)
    (tmp_path / "one").write_bytes(CONTENT)
    (tmp_path / "two").write_bytes(first + first[:-1])
    whole = [line for lines in read_calls([tmp_path / "one"], ()).values() for line in lines]
    assert whole == CONTENT.splitlines(keepends=True)
    assert list(read_calls([tmp_path / "two", tmp_path / "none"], ()).values()) == [[first]]


async def test_entries_of_settled_queries_go_when_it_is_compacted(tmp_path: Path) -> None:
    journal = await write(tmp_path / "journal.jsonl")
    journal.settle("q0")
    journal.settle("q1")
    await journal.compact()
    assert (tmp_path / "journal.jsonl").read_bytes() == b"".join(CONTENT.splitlines(keepends=True)[5:])
    journal.settle("q2\n")
    await journal.compact()
    assert (tmp_path / "journal.jsonl").read_bytes() == b""
    await journal.close()


async def test_a_long_run_does_not_let_it_grow_without_bound(tmp_path: Path) -> None:
    limit = 4000
    journal = Journal(tmp_path / "journal.jsonl", compact_at=limit)
    await journal.append(Scope("unfinished", 0, "sample"), "r", Completion(0, "kept"))
    largest = 0
    for number in range(200):
        scope = Scope(f"q{number}", 0, "sample")
        await journal.append(scope, "r", Completion(0, "x" * 100))
        journal.settle(scope.query)
        largest = max(largest, (tmp_path / "journal.jsonl").stat().st_size)
    await journal.close()
    assert largest < 2 * limit
    journal = Journal(tmp_path / "journal.jsonl")
    assert journal.completion(Scope("unfinished", 0, "sample"), 0, "r") == Completion(0, "kept")
    await journal.close()


async def test_a_full_disk_leaves_every_earlier_entry(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, write=FullDisk(room=len(CONTENT) - 10))
    for call in CALLS[:-1]:
        await journal.append(*call)
    with pytest.raises(StoreError, match="No space left on device"):
        await journal.append(*CALLS[-1])
    await journal.close()
    assert path.read_bytes() == b"".join(CONTENT.splitlines(keepends=True)[:-1])


async def test_decisions_come_back_after_reopening(tmp_path: Path) -> None:
    decisions: dict[str, Decision] = {
        "deadline": True,
        "none": False,
        "cost": 3,
        "seconds": 1.5,
        "why": "late",
    }
    journal = Journal(tmp_path / "j")
    assert journal.decision("q0", 1, "deadline") is None
    for rule, decision in decisions.items():
        await journal.decide("q0", 1, rule, decision)
        assert journal.decision("q0", 1, rule) == decision
    await journal.close()
    journal = Journal(tmp_path / "j")
    found = {rule: journal.decision("q0", 1, rule) for rule in decisions}
    assert found == decisions
    assert [type(value) for value in found.values()] == [bool, bool, int, float, str]
    assert journal.decision("q0", 2, "deadline") is None
    assert journal.decision("q1", 1, "deadline") is None
    assert journal.calls == 0
    journal.settle("q0")
    await journal.compact()
    assert (tmp_path / "j").read_bytes() == b""
    await journal.close()


def test_a_request_hash_goes_by_content_alone() -> None:
    assert request_hash((user("a"),), {"n": 1, "p": 0.5}) == request_hash([user("a")], {"p": 0.5, "n": 1})
    assert request_hash((user("a"),), {"n": 1}) != request_hash((user("b"),), {"n": 1})
    assert request_hash("a", "b") != request_hash("ab", "")
    with pytest.raises(StoreError, match="plain JSON"):
        request_hash(object())
