import asyncio
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.loopback import VirtualTime
from tests.runs.models import RECIPE, by_id, opened, policy, queries, reply, reward, value
from tests.store.memory import memory_folder
from tpo.errors import ConfigError, DataError, PolicyError, PolicyRefused, RewardRefused, TpoError
from tpo.events import Event, QueryEnded, RunEnded, RunStarted
from tpo.policies import PolicyCall, ScriptedPolicy
from tpo.rewards.function import as_reward
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import Summary, run_queries, summarize
from tpo.store import read_run, read_trajectories
from tpo.types import Message, Messages, Query, Sampling, Scope, Trajectory


async def ran(
    path: Path,
    count: int = 6,
    *,
    by: ScriptedPolicy | None = None,
    scored_by: ScriptedReward | None = None,
    concurrency: int = 4,
    heard: list[Event] | None = None,
) -> Summary:
    listener = None if heard is None else heard.append
    async with opened(path) as directory:
        return await run_queries(
            queries(count),
            by or policy(),
            scored_by or reward(),
            RECIPE,
            directory,
            concurrency=concurrency,
            listener=listener,
            total=count,
        )


async def ran_with(path: Path, iterations: int, by: ScriptedPolicy, scored_by: ScriptedReward) -> Summary:
    method = replace(RECIPE, max_iterations=iterations)
    async with opened(path, method) as directory:
        return await run_queries(queries(4), by, scored_by, method, directory)


async def test_more_iterations_continue_finished_queries_without_any_call_made_again(tmp_path: Path) -> None:
    await ran_with(tmp_path / "grown", 1, policy(), reward())
    by, scored_by = policy(), reward()
    summary = await ran_with(tmp_path / "grown", 2, by, scored_by)
    await ran_with(tmp_path / "at once", 2, policy(), reward())
    assert kept(tmp_path / "grown") == kept(tmp_path / "at once")
    assert {call.scope.step for call in by.calls} == {2}
    assert {call.scope.step for call in scored_by.calls} == {2}
    assert (summary.finished, summary.failed) == (4, 0)
    usage = {t.query.id: (t.usage, t.reward_usage) for t in read_trajectories(tmp_path / "grown")}
    assert usage == {t.query.id: (t.usage, t.reward_usage) for t in read_trajectories(tmp_path / "at once")}


async def test_a_failure_among_more_iterations_loses_no_call(tmp_path: Path) -> None:
    await ran_with(tmp_path, 1, policy(), reward())
    failures = {Scope(f"q{number}", 2, "gradient"): PolicyError("gone") for number in range(4)}
    failing = ScriptedPolicy(reply, failures=failures)
    assert (await ran_with(tmp_path, 2, failing, reward())).failed == 4
    by = policy()
    assert (await ran_with(tmp_path, 2, by, reward())).finished == 4
    assert {call.scope.phase for call in by.calls} == {"gradient", "update"}
    assert {call.scope.step for call in by.calls} == {2}


async def test_of_a_reward_function_that_fails_for_some_responses_no_query_is_lost(tmp_path: Path) -> None:
    """One response in ten raises at every try."""

    def fragile(messages: list[Message], response: str) -> float:
        if zlib.crc32(response.encode()) % 10 == 0:
            raise ValueError("no number in it")
        return value(response)

    scored_by = as_reward(fragile, clock=VirtualTime().clock)
    async with opened(tmp_path) as directory:
        summary = await run_queries(queries(150), policy(), scored_by, RECIPE, directory)
    assert (summary.finished, summary.failed) == (150, 0)
    unscored = sum(c.score is None for t in read_trajectories(tmp_path) for c in t.candidates)
    assert summary.unscored == unscored > 50
    assert read_run(tmp_path).totals["unscored"] == unscored


async def test_a_reward_function_that_cannot_work_costs_no_policy_call(tmp_path: Path) -> None:
    by = policy()
    async with opened(tmp_path) as directory:
        with pytest.raises(RewardRefused, match=r"fails before the first policy call: .* TypeError"):
            await run_queries(queries(3), by, as_reward(len, clock=VirtualTime().clock), RECIPE, directory)  # type: ignore[arg-type]
    assert by.calls == []


async def test_blank_answers_are_counted(tmp_path: Path) -> None:
    by = ScriptedPolicy(lambda call, index: "" if index == 0 else reply(call, index))
    assert (await ran(tmp_path, 4, by=by)).blank == 4 * 3


def kept(path: Path) -> dict[str, Trajectory]:
    return by_id(read_trajectories(path))


async def test_every_query_is_kept_once_and_the_journal_ends_empty(tmp_path: Path) -> None:
    heard: list[Event] = []
    summary = await ran(tmp_path, heard=heard)
    assert set(kept(tmp_path)) == {f"q{number}" for number in range(6)}
    assert (tmp_path / "journal.jsonl").stat().st_size == 0
    assert (summary.finished, summary.failed) == (6, 0)
    assert heard[0] == RunStarted(6, 0, 0)
    assert heard[-1] == RunEnded(6, 0, interrupted=False)
    assert sum(isinstance(event, QueryEnded) for event in heard) == 6


async def test_the_summary_is_the_same_from_the_run_and_from_its_directory(tmp_path: Path) -> None:
    summary = await ran(tmp_path)
    again = summarize(tmp_path)
    assert again.usage == summary.usage
    assert again.by_step == pytest.approx(summary.by_step)
    assert again.seconds == summary.seconds
    assert read_run(tmp_path).totals["finished"] == 6


@pytest.mark.parametrize(("concurrency", "delays"), [(1, 0), (3, 4), (64, 9)])
async def test_the_trajectories_are_the_same_whatever_the_concurrency(
    tmp_path: Path, concurrency: int, delays: int
) -> None:
    await ran(tmp_path / "plain")
    await ran(tmp_path / "other", by=policy(delays), scored_by=reward(delays), concurrency=concurrency)
    assert kept(tmp_path / "other") == kept(tmp_path / "plain")


async def test_queries_are_taken_as_places_become_free(tmp_path: Path) -> None:
    taken = ended = 0
    most = 0

    def counted() -> Iterator[Query]:
        nonlocal taken, most
        for query in queries(20):
            taken += 1
            most = max(most, taken - ended)
            yield query

    def count_ends(event: Event) -> None:
        nonlocal ended
        ended += isinstance(event, QueryEnded)

    model = policy()
    async with opened(tmp_path) as directory:
        await run_queries(counted(), model, reward(), RECIPE, directory, concurrency=3, listener=count_ends)
    assert taken == 20
    assert most <= 3
    assert model.most_in_flight <= 3


async def test_what_is_finished_is_not_asked_again(tmp_path: Path) -> None:
    await ran(tmp_path, 4)
    before = (tmp_path / "trajectories.jsonl").read_bytes()
    model = policy()
    heard: list[Event] = []
    summary = await ran(tmp_path, 6, by=model, heard=heard)
    assert {call.scope.query for call in model.calls} == {"q4", "q5"}
    assert (tmp_path / "trajectories.jsonl").read_bytes().startswith(before)
    assert heard[0] == RunStarted(6, 4, 0)
    assert summary.finished == 6


async def test_a_failed_query_is_kept_and_its_siblings_go_on(tmp_path: Path) -> None:
    broken = ScriptedPolicy(
        reply,
        failures={Scope("q2", 1, "loss"): PolicyError("query 'q2': server gone")},
    )
    heard: list[Event] = []
    summary = await ran(tmp_path, by=broken, heard=heard)
    assert (summary.finished, summary.failed) == (5, 1)
    assert summary.failures == {"query …: server gone": 1}
    assert kept(tmp_path)["q2"].status == "failed"
    assert len(kept(tmp_path)["q2"].pool) == 3
    assert heard[-1] == RunEnded(5, 1, interrupted=False)


async def test_a_failed_query_is_tried_again_with_what_it_has(tmp_path: Path) -> None:
    await ran(tmp_path / "plain")
    broken = ScriptedPolicy(reply, failures={Scope("q2", 1, "loss"): PolicyError("gone")})
    await ran(tmp_path / "run", by=broken)
    model, heard = policy(), list[Event]()
    summary = await ran(tmp_path / "run", by=model, heard=heard)
    assert (model.calls[0].scope.step, model.calls[0].scope.phase) == (1, "loss")
    assert heard[0] == RunStarted(6, 5, 1)
    assert (summary.finished, summary.failed) == (6, 0)
    assert kept(tmp_path / "run") == kept(tmp_path / "plain")


async def test_a_failure_of_an_earlier_run_still_counts_if_its_query_is_not_tried(tmp_path: Path) -> None:
    broken = ScriptedPolicy(reply, failures={Scope("q5", 0, "sample"): PolicyError("gone")})
    await ran(tmp_path, 6, by=broken)
    summary = await ran(tmp_path, 3)
    assert (summary.finished, summary.failed) == (5, 1)
    assert summary.stop_reasons["error"] == 1


async def test_a_fatal_error_ends_the_run_at_once_as_itself(tmp_path: Path) -> None:
    await ran(tmp_path / "plain")
    refused = {Scope(f"q{n}", 0, "sample"): PolicyRefused("wrong key") for n in range(2, 6)}
    broken = ScriptedPolicy(reply, failures=refused)
    heard: list[Event] = []
    with pytest.raises(PolicyRefused, match="wrong key"):
        await ran(tmp_path / "run", by=broken, concurrency=2, heard=heard)
    assert isinstance(heard[-1], RunEnded)
    assert heard[-1].interrupted
    assert read_run(tmp_path / "run").invocations[-1].interrupted
    await ran(tmp_path / "run")
    assert kept(tmp_path / "run") == kept(tmp_path / "plain")


async def test_a_fatal_error_is_raised_before_others_of_the_same_moment(tmp_path: Path) -> None:
    class Bug:
        def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> None:
            if scope.query == "q1":
                raise PolicyRefused("no such model")
            raise asyncio.CancelledError  # as a library with a bug may

    async with opened(tmp_path) as directory:
        with pytest.raises(PolicyRefused):
            await run_queries(queries(3), Bug(), reward(), RECIPE, directory)  # type: ignore[arg-type]  # on purpose


async def test_a_cancelled_run_keeps_what_is_finished_and_goes_on_later(tmp_path: Path) -> None:
    await ran(tmp_path / "plain")
    reached = asyncio.Event()

    async def block(call: PolicyCall, index: int) -> None:
        if call.scope == Scope("q3", 2, "update") and index == 1:
            reached.set()
            await asyncio.Event().wait()

    heard: list[Event] = []
    slow = ScriptedPolicy(reply, before=block)
    task = asyncio.create_task(ran(tmp_path / "run", by=slow, heard=heard, concurrency=2))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    ended = heard[-1]
    assert isinstance(ended, RunEnded)
    assert ended.interrupted
    assert ended.finished == len(kept(tmp_path / "run")) == read_run(tmp_path / "run").totals["finished"]
    model = policy()
    await ran(tmp_path / "run", by=model)
    assert kept(tmp_path / "run") == kept(tmp_path / "plain")
    assert ("q3", 2, "update", 1) in [
        (call.scope.query, call.scope.step, call.scope.phase, call.sampling.n) for call in model.calls
    ], "of the update that was under way, only the missing samples are asked for"


async def test_bad_data_in_the_middle_ends_the_run_with_its_own_error(tmp_path: Path) -> None:
    def broken() -> Iterator[Query]:
        yield from queries(3)
        raise DataError("prompts.jsonl, line 37: not JSON")

    async with opened(tmp_path) as directory:
        with pytest.raises(DataError, match="line 37"):
            await run_queries(broken(), policy(), reward(), RECIPE, directory, concurrency=2)
    assert read_run(tmp_path).invocations[-1].interrupted


async def test_an_id_that_comes_twice_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        with pytest.raises(DataError, match="query id 'q0' occurs twice"):
            await run_queries(
                [*queries(2), *queries(1)], policy(), reward(), RECIPE, directory, concurrency=1
            )


async def test_no_concurrency_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--concurrency is 0"):
        await ran(tmp_path, concurrency=0)


async def test_no_queries_is_an_empty_run(tmp_path: Path) -> None:
    summary = await ran(tmp_path, 0)
    assert (summary.finished, summary.failed, summary.by_step) == (0, 0, ())
    assert list(read_trajectories(tmp_path)) == []


async def test_a_listener_that_fails_does_not_end_the_run(tmp_path: Path) -> None:
    def broken(event: Event) -> None:
        raise ValueError("a display's own bug")

    async with opened(tmp_path) as directory:
        summary = await run_queries(queries(2), policy(), reward(), RECIPE, directory, listener=broken)
    assert summary.finished == 2


async def test_plain_functions_do(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        summary = await run_queries(
            queries(2), lambda messages, sampling: "text", lambda messages, text: 1.0, RECIPE, directory
        )
    assert summary.finished == 2
    assert summary.stop_reasons == {"max_iterations": 2}


def interrupted_run() -> dict[str, bytes]:
    """The files of a run that a fatal error stopped half-way."""
    stops = {Scope(f"q{n}", 2, "gradient"): PolicyRefused("stop") for n in (2, 3)}
    broken = ScriptedPolicy(reply, failures=stops)
    with memory_folder() as folder:
        with pytest.raises(TpoError):
            asyncio.run(ran(folder, 5, by=broken, concurrency=2))
        return {file.name: file.read_bytes() for file in folder.iterdir()}


def whole_run() -> dict[str, Trajectory]:
    with memory_folder() as folder:
        asyncio.run(ran(folder, 5))
        return kept(folder)


HALF, WHOLE = interrupted_run(), whole_run()


@given(
    st.integers(0, len(HALF["trajectories.jsonl"])),
    st.integers(0, len(HALF["journal.jsonl"])),
    st.integers(1, 16),
)
@settings(deadline=None, max_examples=25)
def test_a_run_cut_at_any_byte_of_its_files_ends_like_one_that_never_stopped(
    trajectories: int, journal: int, concurrency: int
) -> None:
    cuts = {"trajectories.jsonl": trajectories, "journal.jsonl": journal}
    with memory_folder() as folder:
        for name, content in HALF.items():
            (folder / name).write_bytes(content[: cuts.get(name)])
        asyncio.run(ran(folder, 5, concurrency=concurrency))
        assert kept(folder) == WHOLE
