"""What a whole run will take, by what one query took."""

import pytest

from tests.doctor.values import by_check, make_setup
from tests.steps import first_step, tpo_step
from tpo.doctor import run_checks
from tpo.doctor.estimate import RunEstimate, format_duration
from tpo.methods.catalog import tpo
from tpo.types import Candidate, Pair, Query, RewardUsage, Score, Timing, Trajectory, Usage, user


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
