"""What a whole run will take, by what one query took."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.doctor.values import by_check, make_setup
from tests.steps import first_step, tpo_step
from tpo.doctor import run_checks
from tpo.doctor.estimate import RunEstimate, format_duration
from tpo.methods.catalog import tpo
from tpo.policies.scripted import ScriptedPolicy
from tpo.report.prices import Prices
from tpo.types import (
    Call,
    Candidate,
    Completion,
    Messages,
    Pair,
    Query,
    RewardUsage,
    Sampling,
    Scope,
    Score,
    Timing,
    Trajectory,
    Usage,
    user,
)


def trajectory() -> Trajectory:
    """One iteration, with its usage."""
    first = first_step(candidates := [Candidate(0, 0, "a", Score(1.0))], Usage(1, 10, 0, 100))
    usage = (Usage(1, 200, 0, 50), Usage(1, 300, 0, 60), Usage(2, 400, 0, 500))
    step = tpo_step(1, Pair(candidates[0], None), usage=usage)
    return Trajectory(
        Query("q", (user("x"),)), "tpo", first, (step,), "finished", "max_iterations", None,
        {}, RewardUsage(), Timing(0, 1),
    )  # fmt: skip


def test_phases_count_as_often_as_they_come() -> None:
    found = RunEstimate.extrapolate(trajectory(), tpo(sample_size=5, max_iterations=3), (2.0, 4.0), 100, 10)
    assert found.calls == 100 * (1 + 3 * 4)
    assert found.prompt_tokens == 100 * (10 + 3 * 900)
    assert found.completion_tokens == 100 * (100 + 3 * 610)
    assert found.reward_calls == 100 * 5 * 4
    assert (found.fastest, found.slowest) == (140.0, 1400.0)


def test_best_of_n_counts_its_samples_alone() -> None:
    found = RunEstimate.extrapolate(trajectory(), tpo(sample_size=5, max_iterations=0), (2.0, 0.0), 3, 10)
    assert (found.calls, found.reward_calls, found.slowest) == (3, 15, 6.0)


async def test_without_data_it_is_for_a_thousand() -> None:
    found = by_check(await run_checks(make_setup()))
    assert found["estimate"].sentence.startswith("1,000 queries will take 7,000 model calls")
    assert by_check(await run_checks(make_setup(limit=50)))["estimate"].values["queries"] == 50


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "less than a second"), (70, "70 s"), (600, "10 min"), (7200, "2 h"), (864_000, "10 days")],
)
def test_durations_are_said_shortly(seconds: float, said: str) -> None:
    assert format_duration(seconds) == said


def test_the_cost_counts_each_role_at_its_prices() -> None:
    method = tpo(sample_size=5, max_iterations=3)
    plain = RunEstimate.extrapolate(trajectory(), method, (2.0, 4.0), 100, 10, Prices(1.0, 2.0))
    assert plain.cost == pytest.approx(100 * (2710 + 2 * 1930) / 1e6)
    roles = replace(trajectory(), steps=(replace(trajectory().steps[0], calls=_by_roles()),))
    prices = Prices(1.0, 2.0, roles={"critic": Prices(10.0, 20.0)})
    found = RunEstimate.extrapolate(roles, method, (2.0, 4.0), 100, 10, prices)
    critic = 3 * (500 + 2 * 110)
    assert found.cost == pytest.approx(100 * (2710 + 2 * 1930 + 9 * critic) / 1e6)


def _by_roles() -> tuple[Call, ...]:
    roles = {"loss": "critic", "gradient": "critic", "update": "editor"}
    return tuple(replace(call, role=roles[call.phase]) for call in trajectory().steps[0].calls)


class Server(ScriptedPolicy):
    """A server that runs *slots* calls at a time, each of which takes a second of *time*."""

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.time = 0.0
        self.busy = [0.0] * slots

    def now(self) -> float:
        return self.time

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        slot = self.busy.index(min(self.busy))
        self.busy[slot] = ends = max(self.busy[slot], self.time) + 1.0
        for _ in range(20):  # calls that are made at the same time start before one ends
            await asyncio.sleep(0)
        self.time = max(self.time, ends)
        async for completion in super().sample(messages, sampling, scope):
            yield completion


@pytest.mark.parametrize(
    ("slots", "concurrency", "speedup", "said"),
    [
        (1, 64, 1.0, "about 117 min"),
        (2, 64, 2.0, "at 2.0 times the speed of one query as 8 queries at once showed"),
        (2, 4, 2.0, "at 2.0 times the speed of one query as 4 queries at once showed"),
        (64, 64, None, "if 64"),
    ],
)
async def test_the_time_of_queries_in_parallel_is_measured(
    slots: int, concurrency: int, speedup: float | None, said: str
) -> None:
    server = Server(slots)
    setup = replace(make_setup(policy=server, concurrency=concurrency), now=server.now)
    found = by_check(await run_checks(setup))["estimate"]
    assert found.values["speedup"] == speedup
    assert said in found.sentence
    fastest = found.values["slowest"] / (speedup or 64)
    assert found.values["fastest"] == pytest.approx(fastest)
