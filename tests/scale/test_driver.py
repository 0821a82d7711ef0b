"""The driver of a run on Ray, with a worker in this process in place of Ray."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.runs.models import by_id, reply, value
from tests.scale.sharded import data_file, planned
from tpo.errors import ConfigError, PolicyError, PolicyRefused, StoreError, StoreMismatch, TpoError
from tpo.events import Event, Listener, QueryEnded
from tpo.export import read_in_order
from tpo.policies.scripted import ScriptedPolicy
from tpo.report.write import ReportOptions, write_report
from tpo.rewards.scripted import ScriptedReward
from tpo.runs.models import Models, no_models
from tpo.runs.plan import RunPlan
from tpo.runs.summary import Summary, summarize
from tpo.scale.blocks import begin_block
from tpo.scale.cluster import Pool, RowStream
from tpo.scale.driver import execute_on_ray
from tpo.scale.merge import merge_shards
from tpo.scale.parts import Parts
from tpo.store import read_trajectories
from tpo.store.journal import JOURNAL
from tpo.store.lock import Lock
from tpo.store.reader import NAME
from tpo.store.runfile import read_run
from tpo.store.shards import block_directories
from tpo.types import Scope, Trajectory
from tpo.view.live_run import LiveRun
from tpo.view.status import run_status

BLOCK = 5


class LocalStream(RowStream):
    """Runs blocks in a thread of this process; ends with an error after *most* of them."""

    most = 1_000_000

    def __init__(
        self, items: Sequence[Mapping[str, Any]], worker: type, arguments: Mapping[str, Any], pool: Pool
    ) -> None:
        del pool
        self._stopped = False
        self._rows = self._run(items, worker(**arguments))

    def _run(self, items: Sequence[Mapping[str, Any]], worker: Any) -> Iterator[dict[str, Any]]:
        for number, item in enumerate(items):
            if number == self.most:
                raise OSError("the cluster is gone")
            rows = worker({"block": [item["block"]]})
            yield {name: values[0] for name, values in rows.items()}


class TwoBlocks(LocalStream):
    """Dies after two blocks."""

    most = 2


class Losing(LocalStream):
    """Loses the last trajectory of the first block, and runs no other: the driver ends with an error."""

    def _run(self, items: Sequence[Mapping[str, Any]], worker: Any) -> Iterator[dict[str, Any]]:
        for row in super()._run(items[:1], worker):
            file = worker._folder / row["block"] / NAME
            file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
            yield row


class Stale(LocalStream):
    """Shows the lines of an earlier run when a block has ended, as a network file system may for a while."""

    def _run(self, items: Sequence[Mapping[str, Any]], worker: Any) -> Iterator[dict[str, Any]]:
        file = worker._folder / items[0]["block"] / NAME
        before = file.read_bytes()
        for row in super()._run(items[:1], worker):
            file.rename(file.with_suffix(".late"))
            file.write_bytes(before)
            yield row


class Hiding(LocalStream):
    """Hides the last line of each block until :meth:`reveal` is called."""

    hidden: ClassVar[dict[Path, bytes]] = {}

    def _run(self, items: Sequence[Mapping[str, Any]], worker: Any) -> Iterator[dict[str, Any]]:
        for row in super()._run(items, worker):
            file = worker._folder / row["block"] / NAME
            *lines, self.hidden[file] = file.read_bytes().splitlines(keepends=True)
            file.write_bytes(b"".join(lines))
            yield row

    @classmethod
    def reveal(cls, event: Event) -> None:
        if isinstance(event, QueryEnded):
            for file in list(cls.hidden):
                file.write_bytes(file.read_bytes() + cls.hidden.pop(file))


@dataclass
class Setup:
    """A run of 12 queries in blocks; *calls* counts policy calls by query, step and phase."""

    folder: Path
    failing: str = ""
    failing_step: int = 1
    failure: PolicyError = field(default_factory=lambda: PolicyError("gone"))
    calls: Counter[tuple[str, int, str]] = field(default_factory=Counter)

    def models(self) -> Models:
        def say(call: Any, index: int) -> str:
            if index == 0:
                self.calls[call.scope.query, call.scope.step, call.scope.phase] += 1
            return reply(call, index)

        failures = {Scope(self.failing, self.failing_step, "loss"): self.failure}
        return Models(ScriptedPolicy(say, failures=failures), ScriptedReward(value))

    async def plan(self, out: str, *, count: int = 12, fresh: bool = False, **settings: Any) -> RunPlan:
        plan = await planned(data_file(self.folder, count), self.folder / out, **settings)
        return replace(plan, load=lambda events: self.models(), fresh=fresh)

    async def on_ray(
        self, stream: type[RowStream] = LocalStream, listeners: Sequence[Listener] = (), **settings: Any
    ) -> Summary:
        options: dict[str, Any] = {"ray": "auto", "block_size": BLOCK} | settings
        plan = await self.plan("run", **options)
        async with plan.opened(no_models()) as opened:
            connect = lambda _: nullcontext()  # noqa: E731
            return await execute_on_ray(opened, *listeners, connect=connect, stream=stream, late=(0.0,))

    async def alone(self, **settings: Any) -> dict[str, Trajectory]:
        """The trajectories of one process."""
        plan = await self.plan("alone", **settings)
        await plan.run(replace(self, calls=Counter()).models())
        return by_id(read_trajectories(self.folder / "alone"))

    def kept(self) -> dict[str, Trajectory]:
        return by_id(read_trajectories(self.folder / "run"))


@pytest.fixture(params=[False, True], ids=["joined", "parts"])
def parts(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"keep_parts": True} if request.param else {}


async def test_a_run_in_blocks_is_that_of_one_process(tmp_path: Path, parts: dict[str, Any]) -> None:
    setup = Setup(tmp_path)
    summary = await setup.on_ray(**parts)
    assert (summary.finished, summary.failed) == (12, 0)
    assert setup.kept() == await setup.alone()
    assert max(setup.calls.values()) == 1
    before = setup.calls.copy()
    again = await setup.on_ray(**parts)
    assert replace(again, seconds=0) == replace(summary, seconds=0)
    assert setup.calls == before
    assert (await setup.plan("run", ray="auto", **parts)).is_complete()


async def test_more_iterations_continue_finished_queries(tmp_path: Path, parts: dict[str, Any]) -> None:
    setup = Setup(tmp_path)
    await setup.on_ray(**parts)
    setup.calls.clear()
    summary = await setup.on_ray(max_iterations=2, **parts)
    assert summary.finished == 12
    assert {step for _, step, _ in setup.calls} == {2}
    assert setup.kept() == await setup.alone(max_iterations=2)


async def test_queries_that_fail_while_they_are_continued_keep_their_answers(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    setup = Setup(tmp_path)
    await setup.on_ray(**parts)
    answers = setup.kept()
    setup.failing, setup.failing_step = "q6", 2
    summary = await setup.on_ray(max_iterations=2, **parts)
    assert (summary.finished, summary.failed) == (11, 1)
    assert setup.kept()["q6"] == answers["q6"]
    setup.failing = ""
    summary = await setup.on_ray(max_iterations=2, **parts)
    assert (summary.finished, summary.failed) == (12, 0)
    assert max(setup.calls.values()) == 1
    assert setup.kept() == await setup.alone(max_iterations=2)


async def test_more_iterations_of_some_queries_leave_the_answers_of_the_others(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    setup = Setup(tmp_path)
    await setup.on_ray(**parts)
    answers = setup.kept()
    assert (await setup.on_ray(max_iterations=2, count=3, **parts)).finished == 3
    assert {query: each for query, each in setup.kept().items() if query not in ("q0", "q1", "q2")} == {
        query: each for query, each in answers.items() if query not in ("q0", "q1", "q2")
    }


async def test_a_block_of_an_earlier_try_gets_the_answers_of_other_blocks(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    setup = Setup(tmp_path, failing_step=2)
    await setup.on_ray(count=3, **parts)
    await setup.on_ray(count=4, **parts)  # one block of four, in which the last query alone runs
    setup.failing = "q1"
    summary = await setup.on_ray(max_iterations=2, count=4, **parts)
    assert (summary.finished, summary.failed) == (3, 1)
    assert summarize(tmp_path / "run").failed == 1
    assert max(setup.calls.values()) == 1
    kept = list(read_trajectories(tmp_path / "run"))
    assert sorted((each.query.id, each.status, len(each.steps)) for each in kept) == [
        ("q0", "finished", 2),
        ("q1", "finished", 1),
        ("q2", "finished", 2),
        ("q3", "finished", 2),
    ]
    setup.failing = ""
    assert (await setup.on_ray(max_iterations=2, count=4, **parts)).finished == 4
    assert max(setup.calls.values()) == 1
    assert sorted(each.query.id for each in read_trajectories(tmp_path / "run")) == ["q0", "q1", "q2", "q3"]


async def test_a_failed_query_that_does_not_run_keeps_its_calls(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    setup = Setup(tmp_path, failing="q6")
    assert (await setup.on_ray(**parts)).failed == 1
    assert (await setup.on_ray(max_iterations=2, count=3, **parts)).finished == 3
    setup.failing = ""
    assert (await setup.on_ray(max_iterations=2, **parts)).finished == 12
    assert max(setup.calls.values()) == 1


async def test_a_block_whose_new_lines_are_not_seen_yet_is_kept(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    await setup.on_ray()
    setup.calls.clear()
    with pytest.raises(StoreError, match="the block has ended, but"):
        await setup.on_ray(Stale, max_iterations=2)
    (late,) = tmp_path.rglob("*.late")  # noqa: ASYNC240 - a small folder
    late.rename(late.with_name(NAME))
    assert (await setup.on_ray(max_iterations=2)).finished == 12
    assert max(setup.calls.values()) == 1
    assert setup.kept() == await setup.alone(max_iterations=2)


async def test_a_line_that_appears_while_the_others_are_kept_is_not_lost(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    assert (await setup.on_ray(Hiding, [Hiding.reveal])).finished == 12
    assert setup.kept() == await setup.alone()


@pytest.mark.parametrize("second", ["reward", "gate"])
async def test_an_ensemble_needs_the_scales_of_a_file(tmp_path: Path, second: str) -> None:
    first, other = "python:tests.cli.values:length_of", "python:tests.cli.scores:nothing"
    rewards: dict[str, Any] = (
        {"reward": [first, other]} if second == "reward" else {"reward": [first], "gate": [other]}
    )
    for calibration in (None, tmp_path / "none.json"):
        with pytest.raises(ConfigError, match=r"--ray: .* --calibration must name a file"):
            await Setup(tmp_path).on_ray(calibration=calibration, **rewards)


async def test_queries_whose_method_returned_early_are_kept(tmp_path: Path, parts: dict[str, Any]) -> None:
    setup = Setup(tmp_path)
    early = {"method": "tests.methods.own:Early", **parts}
    assert (await setup.on_ray(**early)).finished == 12
    assert setup.kept() == await setup.alone(method="tests.methods.own:Early")
    calls = setup.calls.copy()
    assert (await setup.on_ray(**early)).finished == 12
    assert setup.calls == calls


async def test_after_the_driver_died_nothing_finished_is_done_again(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    setup = Setup(tmp_path)
    with pytest.raises(TpoError, match="the cluster is gone"):
        await setup.on_ray(TwoBlocks, **parts)
    summary = await setup.on_ray(**parts)
    assert summary.finished == 12
    assert max(setup.calls.values()) == 1
    assert setup.kept() == await setup.alone()


@pytest.mark.parametrize("block_size", [BLOCK, 3])
async def test_failed_queries_are_run_again(tmp_path: Path, parts: dict[str, Any], block_size: int) -> None:
    setup = Setup(tmp_path, failing="q6")
    summary = await setup.on_ray(**parts)
    assert (summary.finished, summary.failed) == (11, 1)
    setup.failing = ""
    setup.calls.clear()
    summary = await setup.on_ray(block_size=block_size, **parts)
    assert (summary.finished, summary.failed) == (12, 0)
    assert {query for query, _, _ in setup.calls} == {"q6"}
    assert setup.kept() == await setup.alone()


@pytest.mark.parametrize("block_size", [BLOCK, 3])
async def test_finished_calls_of_one_process_are_not_repeated_on_ray(tmp_path: Path, block_size: int) -> None:
    setup = Setup(tmp_path, failing="q6", failure=PolicyRefused("a wrong key"))
    plan = await setup.plan("run")
    with pytest.raises(PolicyRefused):
        await plan.run(setup.models())
    assert setup.calls
    setup.failing = ""
    summary = await setup.on_ray(block_size=block_size)
    assert (summary.finished, summary.failed) == (12, 0)
    assert max(setup.calls.values()) == 1
    assert setup.kept() == await setup.alone()


async def test_what_blocks_have_finished_is_not_repeated_in_one_process(tmp_path: Path) -> None:
    setup, run = Setup(tmp_path, failing="q6"), tmp_path / "run"
    with pytest.raises(TpoError, match="the cluster is gone"):
        await setup.on_ray(TwoBlocks)
    block = next((run / "shards").glob(f"block-*/{NAME}")).parent
    assert {each.query.id for each in read_trajectories(block)} == {"q5", "q6", "q7", "q8", "q9"}
    (run / NAME).write_bytes(b"")  # as if the driver had died before it copied what the block has finished
    setup.failing = ""
    plan = await setup.plan("run")
    assert (await plan.run(setup.models())).finished == 12
    assert {count for (query, _, _), count in setup.calls.items() if query >= "q5"} == {1}
    assert not (run / "shards").exists()
    assert setup.kept() == await setup.alone()


async def test_more_data_extends_the_run(tmp_path: Path, parts: dict[str, Any]) -> None:
    setup = Setup(tmp_path)
    await setup.on_ray(count=7, **parts)
    setup.calls.clear()
    assert (await setup.on_ray(**parts)).finished == 12
    assert {query for query, _, _ in setup.calls} == {f"q{number}" for number in range(7, 12)}
    assert setup.kept() == await setup.alone()


async def test_fresh_removes_the_blocks(tmp_path: Path, parts: dict[str, Any]) -> None:
    setup = Setup(tmp_path, failing="q6")
    await setup.on_ray(**parts)
    assert (await setup.on_ray(count=3, fresh=True, **parts)).finished == 3
    assert len(setup.kept()) == 3


async def test_parts_are_indexed_and_read_as_one_run(tmp_path: Path) -> None:
    setup, run = Setup(tmp_path, failing="q6"), tmp_path / "run"
    summary = await setup.on_ray(keep_parts=True)
    assert (run / "trajectories.jsonl").read_bytes() == b""
    index = [json.loads(line) for line in (run / "parts.jsonl").read_text().splitlines()]
    assert sum(row["finished"] for row in index) == 11
    assert sum(row["failed"] for row in index) == 1
    assert [(run / row["part"] / "trajectories.jsonl").stat().st_size for row in index] == [
        row["bytes"] for row in index
    ]
    assert replace(summarize(run), seconds=0, by_step=()) == replace(summary, seconds=0, by_step=())
    assert [trajectory.query.id for trajectory in read_in_order(run)] == [f"q{n}" for n in range(12)]
    written = write_report([run], tmp_path / "report.html", ReportOptions(figures=None))
    assert written.queries == 12
    assert not any("not merged" in note for _, note in written.notes)


async def test_parts_are_merged_into_a_run_that_continues_without_them(tmp_path: Path) -> None:
    setup, run = Setup(tmp_path, failing="q6"), tmp_path / "run"
    await setup.on_ray(keep_parts=True)
    with pytest.raises(StoreError, match="11 of 12 queries finished, 1 failed: repeat the command"):
        merge_shards(run)
    assert merge_shards(run, partial=True).finished == 11
    assert [each.query.id for each in read_trajectories(run)] == [f"q{number}" for number in range(12)]
    setup.failing = ""
    assert (await setup.on_ray()).finished == 12
    assert max(setup.calls.values()) == 1
    assert setup.kept() == await setup.alone()
    assert not (run / "shards").exists()


async def test_parts_of_a_finished_run_are_merged(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    summary = await setup.on_ray(keep_parts=True)
    assert replace(merge_shards(tmp_path / "run"), by_step=()) == replace(summary, by_step=())
    assert (await setup.plan("run")).is_complete()


async def test_parts_tell_what_is_finished_and_where_the_rest_goes_on(tmp_path: Path) -> None:
    setup = Setup(tmp_path, failing="q6")
    await setup.on_ray(keep_parts=True)
    plan = await setup.plan("run", ray="auto", keep_parts=True)
    async with plan.opened(no_models()) as opened:
        parts = Parts(opened.directory)
        assert parts.finished == {f"q{number}" for number in range(12)} - {"q6"}
        assert list(parts.failed) == ["q6"]
        failed = next(query for query in plan.queries if query.id == "q6")
        earlier = parts.earlier(failed)
        assert earlier is not None
        assert earlier.status == "failed"
        parts.drop_copies({})
        assert parts.earlier(failed) == earlier
        assert len(list(parts.read_finished())) == 11


async def test_a_query_has_one_line_where_its_part_does_not_continue_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(tmp_path, failing="q6")
    await setup.on_ray(keep_parts=True)
    monkeypatch.setattr(Parts, "earlier", lambda self, query: None)  # as if its columns had changed
    setup = Setup(tmp_path)
    await setup.on_ray(keep_parts=True, block_size=7)
    found = [(each.query.id, each.status) for each in read_trajectories(tmp_path / "run")]
    assert sorted(found) == sorted((f"q{number}", "finished") for number in range(12))


async def test_a_block_keeps_what_a_worker_wrote_meanwhile(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    await setup.on_ray(keep_parts=True)
    (block, *_) = block_directories(tmp_path / "run")
    trajectories = list(read_trajectories(block))
    journal, lines = b"one\ntwo\n", (block / NAME).read_bytes()
    (block / JOURNAL).write_bytes(journal + b"tor")
    (block / NAME).write_bytes(lines + b"tor")
    older = replace(trajectories[0], steps=())
    begin_block(block, read_run(block), 0.0, [older], [b"two\n", b"three\n"])
    assert (block / JOURNAL).read_bytes() == journal + b"three\n"
    assert (block / NAME).read_bytes() == lines


async def test_the_live_view_follows_parts_that_begin(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    with pytest.raises(TpoError):
        await setup.on_ray(TwoBlocks, keep_parts=True)
    run = LiveRun(tmp_path / "run", "run", 0)
    run.refresh()
    assert run_status(run)["finished"] == 2 * BLOCK
    await setup.on_ray(keep_parts=True)
    run.refresh()
    assert run_status(run)["finished"] == 12
    assert run.generation == 0


async def test_a_block_that_lacks_queries_is_kept_and_resumed(tmp_path: Path, parts: dict[str, Any]) -> None:
    setup = Setup(tmp_path)
    with pytest.raises(StoreError, match="lacks 1 of its queries, such as 'q4'; the same command resumes"):
        await setup.on_ray(Losing, **parts)
    assert (await setup.on_ray(**parts)).finished == 12
    assert setup.kept() == await setup.alone()


async def test_a_block_at_work_is_left(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    with pytest.raises(TpoError):
        await setup.on_ray(TwoBlocks)
    (used,) = (tmp_path / "run" / "shards").iterdir()
    lock = Lock(used)
    assert (await setup.on_ray(block_size=4)).finished == 12
    assert used.exists()
    lock.release()


async def test_a_run_keeps_its_form(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    await setup.on_ray()
    with pytest.raises(StoreMismatch, match="parts: not set there, true now"):
        await setup.on_ray(keep_parts=True)


async def test_parts_are_for_ray(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--keep-parts is for runs with --ray"):
        await Setup(tmp_path).plan("run", keep_parts=True)
    with pytest.raises(ConfigError, match="--keep-parts does not go with --shard"):
        await Setup(tmp_path).plan("run", keep_parts=True, ray="auto", shard="1/2")
