import json
from pathlib import Path

import pytest

from tests.report import runs
from tests.store.values import trajectory
from tpo.errors import StoreError
from tpo.report.partial_run import read_partial_run
from tpo.report.shared_queries import natural_key
from tpo.store.jsonline import seal, unseal
from tpo.store.trajectory_line import encode_trajectory

SCHEMA_1 = Path(__file__).parents[1] / "store" / "schema1"


def written(path: Path, *lines: bytes) -> Path:
    (path / "trajectories.jsonl").write_bytes(b"".join(lines))
    return path


def line(query: str, **values: float) -> bytes:
    return encode_trajectory(trajectory(query, **values))  # type: ignore[arg-type]


def ids(path: Path) -> list[str]:
    return [each.query.id for each in read_partial_run(path).trajectories()]


def test_a_whole_run_needs_no_note(tmp_path: Path) -> None:
    run = read_partial_run(runs.ordinary(tmp_path / "run", 3))
    assert run.notes == ()
    assert run.record is not None
    assert len(list(run.trajectories())) == 3


def test_the_last_line_of_a_query_counts(tmp_path: Path) -> None:
    path = written(tmp_path, line("a", reward=1.0), line("b"), line("a", reward=2.0))
    found = {each.query.id: each for each in read_partial_run(path).trajectories()}
    assert set(found) == {"a", "b"}
    assert found["a"].best is not None
    assert found["a"].best.reward == 2.0


def test_a_failed_line_never_replaces_a_finished_one(tmp_path: Path) -> None:
    failure = encode_trajectory(trajectory("a", error="server gone"))
    path = written(tmp_path, line("a"), failure, encode_trajectory(trajectory("b", error="no")))
    assert [each.status for each in read_partial_run(path).trajectories()] == ["finished", "failed"]


def test_queries_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = ["\u0663", "q9b", "q10", "q9", "\ud83d", "a", "q09", "q", "q123456789012"]
    path = written(tmp_path, *map(line, names))
    assert ids(path) == sorted(names, key=natural_key)
    assert len(read_partial_run(path).places) == len(names)


def test_damaged_lines_are_excluded_with_a_note(tmp_path: Path) -> None:
    missing = unseal(line("c"))
    del missing["candidates"]
    flipped = line("d").replace(b"better", b"Better")
    strange = [b"\xff\xfe\n", b"[1]\n", b"{}\n", seal(missing), b"[" * 100_000 + b"\n", flipped]
    path = written(tmp_path, line("a"), *strange, line("b"))
    assert ids(path) == ["a", "b"]
    assert any("6 lines cannot be read: line 2" in note for note in read_partial_run(path).notes)


def test_the_reason_of_a_damaged_line_is_in_a_note(tmp_path: Path) -> None:
    path = written(tmp_path, line("a").replace(b"better", b"Better"), seal({"schema": 9}))
    notes = read_partial_run(path).notes
    assert any("line 1: its checksum does not match; line 2: schema version 9" in note for note in notes)


def test_a_run_of_schema_1_is_read(tmp_path: Path) -> None:
    run = read_partial_run(SCHEMA_1)
    assert len(list(run.trajectories())) == 5
    assert run.record is not None
    assert run.record.configuration["queries"] == 6


@pytest.mark.parametrize("part", [1, 10, -1])
def test_an_incomplete_last_line_is_excluded_with_a_note(tmp_path: Path, part: int) -> None:
    path = written(tmp_path, line("a"), line("b")[:part])
    assert ids(path) == ["a"]
    assert any("the last line (line 2) is cut off" in note for note in read_partial_run(path).notes)


def test_a_missing_or_damaged_configuration_has_a_note(tmp_path: Path) -> None:
    path = written(tmp_path, line("a"))
    assert any("run.json is missing" in note for note in read_partial_run(path).notes)
    (path / "run.json").write_text('{"schema": 1, "conf')
    assert any("Configuration" in note and "damaged" in note for note in read_partial_run(path).notes)
    assert ids(path) == ["a"]


def test_a_run_in_progress_has_a_note(tmp_path: Path) -> None:
    path = runs.ordinary(tmp_path / "run", 2)
    record = json.loads((path / "run.json").read_text())
    record["invocations"][-1]["ended"] = None
    del record["checksum"]
    (path / "run.json").write_text(json.dumps(record))
    (path / "trajectories.jsonl").unlink()
    (path / "journal.jsonl").write_bytes(b"one call\nanother\n")
    notes = " ".join(read_partial_run(path).notes)
    assert "in progress, or was killed" in notes
    assert "trajectories.jsonl is missing" in notes
    assert "2 finished calls" in notes


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run directory"):
        read_partial_run(tmp_path)
    with pytest.raises(StoreError, match="no such directory"):
        read_partial_run(tmp_path / "nowhere")


def test_a_folder_of_runs_is_refused_with_the_names_of_the_runs(tmp_path: Path) -> None:
    for name in ("b", "a10", "a9"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").touch()
    runs = tmp_path / "runs"
    expected = f"but 3 runs: name them ({runs}/a9 {runs}/a10 {runs}/b), or show all with tpo view"
    for folder in (runs, tmp_path):
        with pytest.raises(StoreError) as caught:
            read_partial_run(folder)
        assert str(caught.value).endswith(f"{expected} {folder}")
