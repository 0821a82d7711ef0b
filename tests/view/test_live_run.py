import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.report import runs
from tests.store.values import trajectory
from tests.view.growing import Growing
from tpo.report.query_table import sample_place
from tpo.runs.summary import Tally
from tpo.store.jsonline import seal
from tpo.store.runfile import MAX_ITERATIONS, RunRecord, write_run
from tpo.store.trajectory_line import encode_trajectory
from tpo.types import Timing, Trajectory
from tpo.view import run_table
from tpo.view.figure_cache import MIN_PAUSE
from tpo.view.live_run import Environment, LiveRun, StaleRequest
from tpo.view.status import run_status


def line(query: str, error: str | None = None, reward: float = 1.0) -> bytes:
    return encode_trajectory(trajectory(query, error=error, reward=reward))


def put(path: Path, *lines: bytes) -> Path:
    with (path / "trajectories.jsonl").open("ab") as file:
        file.writelines(lines)
    return path


def watched(path: Path, now: float = 1e12) -> LiveRun:
    """Long after its files have changed, on a machine on which nothing runs."""
    run = LiveRun(path, "run", 0, environment=Environment(lambda: now, lambda _: False))
    follow(run)
    return run


def follow(run: LiveRun) -> bool:
    changed, more = run.refresh()
    while more:
        _, more = run.refresh()
    return changed


def column(run: LiveRun, name: str) -> list[Any]:
    return run.rows(run.generation, 0, 0)["columns"][name]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.ordinary(tmp_path_factory.mktemp("made") / "run", 12)


def test_a_run_that_grows_has_the_numbers_of_one_read_at_once(made: Path, tmp_path: Path) -> None:
    growing = Growing(made, tmp_path / "run").begin()
    run = watched(growing.path)
    for count in (1, 0, 4, 7):
        growing.grow(count)
        assert follow(run) == (count > 0)
    read_size = watched(made)
    assert run.rows(0, 0, 0) == read_size.rows(0, 0, 0)
    assert run.measured().measures == read_size.measured().measures
    same = ("finished", "failed", "answer_mean", "by_step", "phases", "reward", "stop_reasons")
    assert [run_status(run)[name] for name in same] == [run_status(read_size)[name] for name in same]


def test_a_query_that_failed_and_is_tried_again_keeps_its_row(tmp_path: Path) -> None:
    run = watched(put(tmp_path, line("a"), line("b", error="no"), line("c", error="no")))
    assert run_status(run)["failures"] == [("no", 2)]
    before = run.rows(0, 0, 0)
    put(tmp_path, line("b", reward=7.0), line("d"))
    follow(run)
    told = run_status(run)
    assert (told["finished"], told["failed"]) == (3, 1)
    piece = run.rows(0, len(before["columns"]["id"]), before["changes"])
    assert piece["columns"]["id"] == ["d"]
    assert (piece["revised"], piece["revisions"]["answer"]) == ([1], [7.0])
    assert column(run, "id") == ["a", "b", "c", "d"]
    assert run.trajectory(0, 1)["status"] == "finished"


def test_of_a_finished_query_that_comes_twice_the_last_counts(tmp_path: Path) -> None:
    run = watched(put(tmp_path, line("a", reward=1.0), line("b")))
    put(tmp_path, line("a", reward=5.0))
    follow(run)
    assert column(run, "answer") == [5.0, 1.0]
    assert run_status(run)["finished"] == 2
    assert [m.answer for m in run.measured().measures] == [5.0, 1.0]


def test_a_finished_query_that_fails_while_it_is_continued_keeps_its_row_and_its_answer(
    tmp_path: Path,
) -> None:
    run = watched(put(tmp_path, line("a", reward=1.0), line("b")))
    before = run.rows(0, 0, 0)
    put(tmp_path, line("a", error="server gone"))
    follow(run)
    assert run.rows(0, 0, 0) == before
    assert (run_status(run)["finished"], run_status(run)["failed"]) == (2, 0)
    assert run.trajectory(0, 0)["status"] == "finished"
    put(tmp_path, line("a", reward=5.0))
    follow(run)
    assert column(run, "answer") == [5.0, 1.0]


def continued(query: str, *, ended: float = 12.5, **values: Any) -> Trajectory:
    """The trajectory of *query* with a second step."""
    once = trajectory(query, **values)
    return replace(once, steps=2 * once.steps, timing=Timing(10.0, ended))


def test_totals_of_a_run_that_is_continued_are_computed_again_at_intervals(tmp_path: Path) -> None:
    names = [f"q{number}" for number in range(50)]
    put(tmp_path, *map(line, names))
    seconds = 0.0
    environment = Environment(lambda: 1e12, lambda _: False, lambda: seconds)
    run = LiveRun(tmp_path, "run", 0, environment=environment)
    follow(run)
    rebuilt = 0
    for place, name in enumerate(names):
        before = run.table.gathering
        put(tmp_path, encode_trajectory(continued(name, reward=5.0)))
        seconds += 0.5
        follow(run)
        rebuilt += 0 if run.table.gathering is before else len(run.table)
        assert column(run, "answer")[place] == 5.0, "a row is shown at once"
    assert 0 < rebuilt <= len(names) * (seconds / MIN_PAUSE + 1)
    seconds += MIN_PAUSE
    follow(run)
    assert not follow(run)
    plain = Tally()
    for name in names:
        plain.add(continued(name, reward=5.0))
    assert run.table.gathering.summary(0.0) == plain.summary(0.0)
    assert {each.answer for each in run.measured().measures} == {5.0}


def working(path: Path, iterations: int = 2, *queries: str) -> Callable[[], dict[str, Any]]:
    """Return a function that tells the status of the run in *path*, which was started again at 100.

    It has two queries, D of *iterations*, and calls of *queries* in its journal; it is 160 now.
    """
    write_run(path, RunRecord({"queries": 2}, {MAX_ITERATIONS: iterations}).begin(1.0).begin(100.0))
    calls = ({"query": query, "completion": {"usage": {"completion_tokens": 5}}} for query in queries)
    (path / "journal.jsonl").write_bytes(b"".join(map(seal, calls)))
    run = LiveRun(path, "run", 0, environment=Environment(lambda: 160.0, lambda _: True))

    def told() -> dict[str, Any]:
        follow(run)
        live: dict[str, Any] = run_status(run)["live"]
        return live

    return told


def test_queries_that_are_continued_are_in_progress_until_their_next_line(tmp_path: Path) -> None:
    told = working(put(tmp_path, line("a"), line("b")), 2, "a")
    before = told()
    assert (before["state"], before["ended"], before["under_way"]) == ("working", 0, 1)
    assert [each["id"] for each in before["queries"]] == ["a"]
    assert before["written"] == 2 + 2 + 5
    put(tmp_path, encode_trajectory(continued("a", ended=130.0)))
    after = told()
    assert (after["ended"], after["under_way"], after["seconds_left"]) == (1, 0, pytest.approx(60))
    assert after["written"] == 2 + 2, "the earlier tokens count once"


def test_failed_queries_are_in_progress_again_after_the_next_start(tmp_path: Path) -> None:
    told = working(put(tmp_path, line("a", error="no"), line("b")), 1, "a")
    before = told()
    assert (before["ended"], before["under_way"], before["seconds_left"]) == (1, 1, None)
    assert before["written"] == 2 + 5, "the journal holds the calls of the failed attempt, too"
    put(tmp_path, encode_trajectory(continued("a", error="again", ended=130.0)))
    after = told()
    assert (after["ended"], after["under_way"], after["written"]) == (2, 0, 4)


def test_a_query_that_fails_while_it_is_continued_has_ended_until_the_next_start(tmp_path: Path) -> None:
    put(tmp_path, line("a"), encode_trajectory(continued("a", error="no", ended=130.0)))
    assert working(tmp_path, 2, "a")()["ended"] == 1
    (tmp_path / "trajectories.jsonl").unlink()
    put(tmp_path, line("a"), encode_trajectory(continued("a", error="no", ended=90.0)))
    assert working(tmp_path, 2, "a")()["ended"] == 0


def test_of_a_large_run_failed_queries_are_in_progress_again_after_the_next_start(tmp_path: Path) -> None:
    put(tmp_path, line("a", error="no"), line("b"))
    write_run(tmp_path, RunRecord({"queries": 400}, {MAX_ITERATIONS: 1}).begin(1.0).begin(100.0))
    environment = Environment(lambda: 160.0, lambda _: True)
    run = LiveRun(tmp_path, "run", 0, max_queries=100, environment=environment)
    follow(run)
    assert run.table.sample is not None
    assert ("a" in run.table, "b" in run.table) == (False, True)
    assert run_status(run)["live"]["ended"] == 1
    put(tmp_path, line("a"))
    follow(run)
    assert ("a" in run.table, run_status(run)["live"]["ended"]) == (True, 2)
    assert run_status(run)["live"]["written"] == 4


def sampled(path: Path, iterations: int = 1) -> LiveRun:
    """The run in *path*, which is said to have 400 queries, with rows of about 100."""
    write_run(path, RunRecord({"queries": 400}, {MAX_ITERATIONS: iterations}).begin(1.0))
    return LiveRun(path, "run", 0, max_queries=100, environment=Environment(lambda: 1e12, lambda _: False))


def test_of_a_large_run_a_sample_has_rows_and_all_are_counted(tmp_path: Path) -> None:
    run = sampled(tmp_path)
    names = [f"query {number}" for number in range(400)]
    put(tmp_path, *(line(name, error="no" if name.endswith("7") else None) for name in names))
    follow(run)
    told = run_status(run)
    assert (told["finished"], told["failed"]) == (360, 40)
    assert 60 < len(run.table) < 140
    assert any(f"{len(run.table)} of 400 queries, drawn by a hash" in note for note in told["notes"])
    assert all(name in run.table for name in names)
    put(tmp_path, *(line(name) for name in names if name.endswith("7")))
    follow(run)
    told = run_status(run)
    assert (told["finished"], told["failed"]) == (400, 0)
    assert sorted(column(run, "id")) == sorted(name for name in names if sample_place(name) < 0.25)


def test_of_a_large_run_that_has_more_iterations_now_each_query_counts_once(tmp_path: Path) -> None:
    run = sampled(tmp_path)
    names = [f"query {number}" for number in range(40)]
    put(tmp_path, *map(line, names))
    follow(run)
    assert run_status(run)["finished"] == 40
    sampled(tmp_path, iterations=2)
    follow(run)
    assert run_status(run)["finished"] == 0
    once = [trajectory(name) for name in names]
    put(tmp_path, *(encode_trajectory(replace(each, steps=2 * each.steps)) for each in once))
    follow(run)
    assert run_status(run)["finished"] == 40


def test_a_run_of_more_queries_than_its_record_says_is_sampled_as_well(tmp_path: Path) -> None:
    run = LiveRun(tmp_path, "run", 0, max_queries=10, environment=Environment(lambda: 1e12, lambda _: False))
    put(tmp_path, *(line(f"query {number}") for number in range(200)))
    follow(run)
    assert run_status(run)["finished"] == 200
    assert 0 < len(run.table) <= 20


def test_a_run_that_is_begun_anew_is_another_generation(made: Path, tmp_path: Path) -> None:
    growing = Growing(made, tmp_path / "run").begin()
    growing.grow(5)
    run = watched(growing.path)
    growing.throw_away()
    growing.begin().append(line("other"))
    assert follow(run)
    assert run.generation == 1
    assert column(run, "id") == ["other"]
    assert run_status(run)["finished"] == 1
    with pytest.raises(StaleRequest):
        run.trajectory(0, 0)
    assert run.trajectory(1, 0)["id"] == "other"
    assert run.rows(0, 5, 0)["start"] == 0, "who knows the old table gets the new one from its start"


def test_a_trajectory_is_read_from_its_file_when_it_is_asked_for(tmp_path: Path) -> None:
    run = watched(put(tmp_path, line("a"), line("b")))
    assert [run.trajectory(0, row)["id"] for row in (0, 1)] == ["a", "b"]
    for row in (-1, 2):
        with pytest.raises(StaleRequest):
            run.trajectory(0, row)
    (tmp_path / "trajectories.jsonl").write_bytes(line("z") + line("b"))
    with pytest.raises(StaleRequest, match="has changed"):
        run.trajectory(0, 0)


def test_a_long_table_goes_by_the_piece(tmp_path: Path) -> None:
    count = run_table.PAGE_SIZE + 3
    put(tmp_path, *(encode_trajectory(trajectory(f"q{n}")) for n in range(count)))
    run = watched(tmp_path)
    first = run.rows(0, 0, 0)
    rest = run.rows(0, run_table.PAGE_SIZE, first["changes"])
    assert (len(first["columns"]["id"]), first["more"]) == (run_table.PAGE_SIZE, True)
    assert (rest["columns"]["id"], rest["more"]) == ([f"q{n}" for n in range(count - 3, count)], False)


def test_what_cannot_be_read_is_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    run = watched(put(tmp_path, line("a"), b"{}\n", b"\xff\n", line("b"), line("c")[:40]))
    notes = " ".join(run_status(run)["notes"])
    assert "2 lines cannot be read: line 2" in notes
    assert "the last line is cut off" in notes
    assert "run.json is missing" in notes
    assert column(run, "id") == ["a", "b"]


def test_a_run_without_trajectories_says_so(made: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes((made / "run.json").read_bytes())
    run = watched(tmp_path)
    assert any("trajectories.jsonl is missing" in note for note in run_status(run)["notes"])


def test_a_killed_run_says_so_and_one_that_works_does_not(made: Path, tmp_path: Path) -> None:
    growing = Growing(made, tmp_path / "run").begin(total=12)
    growing.grow(2)
    growing.call("q10", tokens=4)
    killed = run_status(watched(growing.path))
    assert killed["live"]["state"] == "stopped"
    assert any("killed" in note for note in killed["notes"])
    assert any("1 finished call of" in note for note in killed["notes"])
    began = growing.record["invocations"][-1]["started"]
    run = LiveRun(growing.path, "run", 0, environment=Environment(lambda: began + 60, lambda _: True))
    follow(run)
    working = run_status(run)
    assert (working["live"]["state"], working["notes"]) == ("working", [])
    assert (working["live"]["total"], working["live"]["under_way"]) == (12, 1)
    assert working["seconds"] == pytest.approx(60)
    assert working["live"]["queries_a_minute"] == pytest.approx(2)
    assert working["live"]["seconds_left"] == pytest.approx(300)


def test_queries_in_flight_are_those_of_the_journal_that_have_not_ended(made: Path, tmp_path: Path) -> None:
    growing = Growing(made, tmp_path / "run").begin()
    run = LiveRun(growing.path, "run", 0, environment=Environment(is_alive=lambda _: True))
    ended = json.loads(growing.lines[0])["query"]["id"]
    for query in (ended, "later", "later"):
        growing.call(query, tokens=3)
    follow(run)
    before = run_status(run)["live"]
    assert (before["under_way"], before["written"]) == (2, 9)
    growing.grow(1)
    follow(run)
    assert run_status(run)["live"]["under_way"] == 1
    (growing.path / "journal.jsonl").write_bytes(b"damaged\n")
    follow(run)
    assert run_status(run)["live"]["under_way"] == 0


def test_numbers_do_not_depend_on_how_often_one_asks(tmp_path: Path) -> None:
    """Failed queries are counted apart, since they may be tried again: sums are those of a plain tally."""
    run = watched(put(tmp_path, line("a", error="x"), line("b")))
    run_status(run)
    put(tmp_path, line("a"), line("c", error="y"))
    follow(run)
    plain = Tally()
    for each in (trajectory("b"), trajectory("a"), trajectory("c", error="y")):
        plain.add(each)
    assert run.table.gathering.summary(0.0) == plain.summary(0.0)


def test_a_run_of_the_loop_itself_is_read_to_its_end(tmp_path: Path) -> None:
    path = runs.ordinary(tmp_path / "run", 2)
    run = watched(path)
    assert run.state == "ended"
    assert len(run.table) == 2


def test_shards_are_one_run_until_they_are_merged(tmp_path: Path) -> None:
    root = tmp_path / "big"
    one, two = [root / "shards" / f"{number}-of-2" for number in (1, 2)]
    made = runs.ordinary(tmp_path / "made", 6)
    first = Growing(made, one).begin(total=4)
    first.grow(2)
    run = watched(root)
    assert (run_status(run)["finished"], len(run.table)) == (2, 2)
    second = Growing(made, two).begin(total=2)
    second.written = 4
    second.grow(2)
    second.call("q3", tokens=7)
    assert follow(run)
    assert run_status(run)["finished"] == 4
    assert run_status(run)["live"]["total"] == 6
    assert run.in_flight.queries(run.table) == (1, 7)
    rows = run.rows(run.generation, 0, 0)["columns"]["id"]
    assert [run.trajectory(run.generation, row)["id"] for row in range(4)] == rows
    first.grow(2)
    follow(run)
    assert len(run.table) == 6
    before = run.generation
    whole = Growing(made, root)
    whole.grow(6)
    whole.end()
    follow(run)
    assert (run.generation, len(run.table), run.parts) == (before + 1, 6, (root,))


def test_a_replaced_shard_has_all_shards_read_again(tmp_path: Path) -> None:
    shards = [tmp_path / "shards" / f"{number}-of-2" for number in (1, 2)]
    made = runs.ordinary(tmp_path / "made", 4)
    growing = [Growing(made, path).begin() for path in shards]
    growing[0].grow(2)
    growing[1].written = 2
    growing[1].grow(2)
    run = watched(tmp_path)
    assert len(run.table) == 4
    (shards[0] / "trajectories.jsonl").write_bytes(growing[0].lines[1])
    follow(run)
    assert sorted(run.table.ids) == ["q1", "q2", "q3"]
