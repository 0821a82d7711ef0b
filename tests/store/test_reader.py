import logging
from pathlib import Path
from typing import IO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.memory import memory_folder
from tests.store.values import trajectory
from tpo.errors import StoreError
from tpo.store.jsonline import seal
from tpo.store.reader import MAX_OPEN, OpenFiles, find_places, read_attempts, read_trajectories
from tpo.store.trajectory_line import encode_trajectory
from tpo.types import Trajectory


def write(path: Path, *content: Trajectory | bytes) -> None:
    lines = [c if isinstance(c, bytes) else encode_trajectory(c) for c in content]
    (path / "trajectories.jsonl").write_bytes(b"".join(lines))


def test_trajectories_come_in_the_files_order(tmp_path: Path) -> None:
    written = [trajectory(query) for query in ("b", "a", "c")]
    write(tmp_path, *written)
    assert list(read_trajectories(tmp_path)) == written
    assert list(read_trajectories(tmp_path / "trajectories.jsonl")) == written


def test_of_several_lines_for_a_query_the_last_counts(tmp_path: Path) -> None:
    failed, other, done = trajectory("a", error="server gone"), trajectory("b"), trajectory("a", reward=3.0)
    write(tmp_path, failed, other, done)
    assert list(read_trajectories(tmp_path)) == [other, done]


def test_a_failed_line_never_replaces_a_finished_one(tmp_path: Path) -> None:
    done, other, again = trajectory("a"), trajectory("b"), trajectory("a", reward=3.0)
    write(tmp_path, done, other, trajectory("a", error="server gone"))
    assert list(read_trajectories(tmp_path)) == [done, other]
    assert [each.error for each in read_attempts(tmp_path, failed_only=True)] == ["server gone"]
    write(tmp_path, done, other, trajectory("a", error="server gone"), again)
    assert list(read_trajectories(tmp_path)) == [other, again]
    assert list(read_attempts(tmp_path, failed_only=True)) == []


def test_a_torn_last_line_is_not_there(tmp_path: Path) -> None:
    torn = encode_trajectory(trajectory("b"))[:-1]
    write(tmp_path, trajectory("a"), torn)
    assert list(read_trajectories(tmp_path)) == [trajectory("a")]


def test_damaged_lines_are_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(
        tmp_path,
        trajectory("a"),
        b'{"schema": 2, "query"\n',
        b'{"schema": 1, "query": {"id": 3}}\n',
        trajectory("c"),
    )
    with caplog.at_level(logging.WARNING):
        assert [t.query.id for t in read_trajectories(tmp_path)] == ["a", "c"]
    assert "2 damaged lines are left out: 2, 3" in caplog.text


HEAD = {"id": "b", "digest": "", "status": "finished", "stop_reason": "max_iterations", "iterations": 0}


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b'{"schema": 9}\n',
        seal({"schema": 2, "query": {"id": "b"}, "status": "finished"}),
        seal({"schema": 2, **HEAD, "query": {"id": "b"}}),
        seal({"schema": 2, **HEAD}),
        encode_trajectory(trajectory("b")).replace(b"better", b"BETTER"),
        encode_trajectory(trajectory("b")).replace(b'"schema":2', b'"schema":1'),
        encode_trajectory(trajectory("b")).partition(b',"crc"')[0] + b"}\n",
    ],
)
def test_json_that_is_no_trajectory_is_left_out_with_a_warning(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, trajectory("a"), line, trajectory("c"))
    with caplog.at_level(logging.WARNING):
        assert [t.query.id for t in read_trajectories(tmp_path)] == ["a", "c"]
    assert "1 damaged lines are left out: 2" in caplog.text


def test_a_later_versions_line_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, trajectory("a"), seal({"schema": 9}))
    with pytest.raises(StoreError, match=r"trajectories\.jsonl, line 2: schema version 9"):
        list(read_trajectories(tmp_path))


CONTENT = b"".join(encode_trajectory(trajectory(query)) for query in "abc")


@given(st.integers(0, len(CONTENT)))
@settings(deadline=None, max_examples=50)
def test_a_file_cut_at_any_byte_keeps_every_whole_line(cut: int) -> None:
    with memory_folder() as folder:
        (folder / "trajectories.jsonl").write_bytes(CONTENT[:cut])
        found = list(read_trajectories(folder))
    assert found == [trajectory(query) for query in "abc"[: CONTENT[:cut].count(b"\n")]]


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=150)
def test_a_flipped_byte_loses_its_line_and_never_gives_another_trajectory(place: int, mask: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[place] ^= mask
    with memory_folder() as folder:
        (folder / "trajectories.jsonl").write_bytes(damaged)
        found = {t.query.id: t for t in read_trajectories(folder)}
    hit = CONTENT[:place].count(b"\n")
    lost = set(range(3)) - {"abc".index(query) for query in found}
    assert hit in lost
    assert lost <= {hit, hit + 1}, "a line feed that is hit joins two lines"
    assert all(found[query] == trajectory(query) for query in found)


def test_places_tell_what_a_resumed_run_needs(tmp_path: Path) -> None:
    write(tmp_path, trajectory("a"), trajectory("b", error="gone"))
    places = find_places(tmp_path / "trajectories.jsonl")
    assert [(p.line, p.finished, p.stop_reason, p.iterations) for p in places.values()] == [
        (1, True, "max_iterations", 1),
        (2, False, "error", 1),
    ]


def test_an_empty_run_has_no_trajectories(tmp_path: Path) -> None:
    write(tmp_path)
    assert list(read_trajectories(tmp_path)) == []


@pytest.mark.parametrize("name", ["", "missing", "missing/trajectories.jsonl"])
def test_a_place_without_trajectories_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="no trajectories are here"):
        list(read_trajectories(tmp_path / name))


def test_few_of_many_files_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[IO[bytes]] = []
    real = Path.open

    def open_and_keep(path: Path, mode: str) -> IO[bytes]:
        made.append(cast(IO[bytes], real(path, mode)))
        return made[-1]

    def count_open() -> int:
        return sum(not file.closed for file in made)

    files = [tmp_path / str(number) for number in range(2 * MAX_OPEN)]
    for file in files:
        file.write_text(f"first\n{file.name}\n")
    monkeypatch.setattr(Path, "open", open_and_keep)
    with OpenFiles() as opened:
        for _ in range(2):
            assert [opened.line(file, 6) for file in files] == [f"{file.name}\n".encode() for file in files]
        assert count_open() == MAX_OPEN
    assert count_open() == 0
