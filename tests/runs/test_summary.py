import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.steps import first_step
from tests.store.values import trajectory
from tpo.errors import StoreError
from tpo.runs import summarize
from tpo.runs.summary import MAX_REASONS, OTHER_REASONS, Summary, Tally
from tpo.types import Candidate, Score, Trajectory, Usage


def summary_of(*trajectories: Trajectory) -> Summary:
    tally = Tally()
    for one in trajectories:
        tally.add(one)
    return tally.summary(3.0)


def short(query: str, *rewards: float) -> Trajectory:
    """A best-of-N trajectory."""
    initial = tuple(Candidate(0, index, str(reward), Score(reward)) for index, reward in enumerate(rewards))
    return replace(trajectory(query), first=first_step(initial), steps=())


def test_a_step_is_its_samples_mean_and_the_pools_best() -> None:
    first, second = summary_of(trajectory("a", reward=1.0), trajectory("b", reward=3.0)).by_step
    assert (first.samples_mean, first.best_mean, first.candidates, first.malformed) == (-0.5, 0.0, 4, 0)
    assert (second.samples_mean, second.best_mean, second.candidates, second.malformed) == (2.0, 2.0, 2, 2)


def test_the_best_of_the_pool_never_falls() -> None:
    (_, second) = summary_of(trajectory("a", reward=-5.0)).by_step
    assert (second.samples_mean, second.best_mean) == (-5.0, 0.0)


@pytest.mark.parametrize("stopped_first", [True, False])
def test_a_query_that_stopped_early_carries_its_last_best(stopped_first: bool) -> None:
    both = [short("a", 1.0, 4.0), trajectory("b", reward=2.0)]
    summary = summary_of(*(both if stopped_first else reversed(both)))
    assert [step.best_mean for step in summary.by_step] == [2.0, 3.0]
    assert summary.by_step[1].samples_mean == 2.0


def test_a_step_without_responses_has_no_mean_of_them() -> None:
    whole = trajectory("a")
    empty = replace(whole, steps=(replace(whole.steps[0], candidates=()),))
    assert summary_of(empty).by_step[1].samples_mean is None
    assert summary_of(empty).by_step[1].best_mean == 0.0


def test_failed_queries_cost_but_have_no_say_in_the_means() -> None:
    summary = summary_of(trajectory("a"), trajectory("b", error="gone", reward=99.0))
    assert summary.by_step == summary_of(trajectory("a")).by_step
    assert summary.usage == {"sample": Usage(2, 4, 0, 4)}
    assert (summary.reward_usage.calls, summary.reward_usage.tokens) == (6, 18)
    assert (summary.finished, summary.failed) == (1, 1)


def test_failures_are_counted_by_reason_not_by_query() -> None:
    failed = [trajectory(f"q{n}", error=f"query {f'q{n}'!r}: server gone") for n in range(3)]
    assert summary_of(*failed).failures == {"query …: server gone": 3}


def test_reasons_do_not_grow_without_bound() -> None:
    summary = summary_of(*(trajectory(f"q{n}", error=f"reason {n}") for n in range(100)))
    assert len(summary.failures) == MAX_REASONS + 1
    assert summary.failures[OTHER_REASONS] == 100 - MAX_REASONS


def test_a_record_is_plain_json() -> None:
    record = summary_of(trajectory("a"), trajectory("b", error="x")).record()
    assert json.loads(json.dumps(record))["by_step"][1]["candidates"] == 1


def test_a_place_without_a_run_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no trajectories are here"):
        summarize(tmp_path)
