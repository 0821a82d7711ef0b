import logging
from pathlib import Path

import pytest

from tests.store.values import trajectory
from tpo.errors import StoreError
from tpo.store.jsonline import to_line
from tpo.store.reading import read_trajectories
from tpo.store.records import trajectory_record
from tpo.types import Trajectory


def write(path: Path, *content: Trajectory | bytes) -> None:
    lines = [c if isinstance(c, bytes) else to_line(trajectory_record(c)) for c in content]
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


def test_a_torn_last_line_is_not_there(tmp_path: Path) -> None:
    torn = to_line(trajectory_record(trajectory("b")))[:-1]
    write(tmp_path, trajectory("a"), torn)
    assert list(read_trajectories(tmp_path)) == [trajectory("a")]


def test_damaged_lines_are_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(
        tmp_path,
        trajectory("a"),
        b'{"schema": 1, "query"\n',
        b'{"schema": 1, "query": {"id": 3}}\n',
        trajectory("c"),
    )
    with caplog.at_level(logging.WARNING):
        assert [t.query.id for t in read_trajectories(tmp_path)] == ["a", "c"]
    assert "2 damaged lines are left out: 2, 3" in caplog.text


def test_a_line_that_lost_a_part_is_named(tmp_path: Path) -> None:
    write(tmp_path, trajectory("a"), b'{"schema": 1, "query": {"id": "b"}, "status": "finished"}\n')
    with pytest.raises(StoreError, match=r"trajectories\.jsonl, line 2: not a whole trajectory"):
        list(read_trajectories(tmp_path))


def test_another_versions_line_is_named(tmp_path: Path) -> None:
    write(tmp_path, trajectory("a"), b'{"schema": 2}\n')
    with pytest.raises(StoreError, match=r"trajectories\.jsonl, line 2: schema version 2"):
        list(read_trajectories(tmp_path))


def test_an_empty_run_has_no_trajectories(tmp_path: Path) -> None:
    write(tmp_path)
    assert list(read_trajectories(tmp_path)) == []


@pytest.mark.parametrize("name", ["", "missing", "missing/trajectories.jsonl"])
def test_a_place_without_trajectories_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="no trajectories are here"):
        list(read_trajectories(tmp_path / name))
