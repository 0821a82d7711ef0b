"""Estimate of a run's calls, tokens and time, extrapolated from one query."""

from __future__ import annotations

from dataclasses import dataclass

from tpo.doctor.finding import good, unknown, warning
from tpo.doctor.setup import CheckState, Setup
from tpo.methods.method import Method
from tpo.plurals import queries
from tpo.types import Trajectory, Usage

CHECK = "estimate"
DEFAULT_QUERIES = 1000
"""Number of queries in the estimate when no data set is given."""
WEEK = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """Model calls, tokens and seconds (two bounds) of a run with *queries*."""

    queries: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    reward_calls: int
    fastest: float
    """Seconds if ``--concurrency`` queries run in parallel, each as fast as the measured one."""
    slowest: float
    """Seconds if the queries run one after another."""

    @classmethod
    def extrapolate(
        cls,
        trajectory: Trajectory,
        method: Method,
        seconds: tuple[float, float],
        queries: int,
        concurrency: int,
    ) -> RunEstimate:
        """Extrapolate from a *trajectory* of one iteration.

        Args:
            trajectory: the measured query.
            method: the method of the run.
            seconds: time of the first samples, and of the iteration.
            queries: number of queries of the run.
            concurrency: maximum queries in flight.
        """
        iterations = method.max_iterations
        usage = _query_usage(trajectory, iterations)
        first, step = seconds
        slowest = queries * (first + iterations * step)
        return cls(
            queries,
            queries * usage.calls,
            queries * usage.prompt_tokens,
            queries * usage.completion_tokens,
            queries * method.cost(method.sample_size, iterations).scores,
            slowest / max(1, min(concurrency, queries)),
            slowest,
        )


def _query_usage(trajectory: Trajectory, iterations: int) -> Usage:
    """Return the usage of one query: its first samples, plus its step once per iteration."""
    steps = [step for step in trajectory.steps for _ in range(iterations)]
    return sum((call.usage for step in (trajectory.first, *steps) for call in step.calls), Usage())


async def check_estimate(setup: Setup, state: CheckState) -> None:
    """Report calls, tokens and time for the data set, or for :data:`DEFAULT_QUERIES`."""
    if state.trajectory is None:
        state.report(unknown(CHECK, "not available: no query finished"))
        return
    settings = setup.settings
    queries = state.queries if state.queries is not None else settings.limit or DEFAULT_QUERIES
    seconds = (state.first_seconds, state.step_seconds)
    found = RunEstimate.extrapolate(state.trajectory, setup.method, seconds, queries, settings.concurrency)
    sentence = _sentence(found, settings.concurrency)
    values = {name: getattr(found, name) for name in RunEstimate.__slots__}
    if found.fastest > WEEK:
        advice = "use more servers, fewer samples or iterations (-n, -d), or a part of the data (--limit)"
        state.report(warning(CHECK, sentence, advice, **values))
    else:
        state.report(good(CHECK, sentence, **values))


def _sentence(found: RunEstimate, concurrency: int) -> str:
    shortest, longest = format_duration(found.fastest), format_duration(found.slowest)
    time = f"{shortest} if {concurrency} parallel queries run as fast as one, {longest} one after another"
    if shortest == longest:
        time = f"about {shortest}" if found.slowest >= 1 else shortest
    return (
        f"{queries(found.queries)} will take {found.calls:,} model calls"
        f" ({found.prompt_tokens:,} prompt tokens, {found.completion_tokens:,} completion tokens)"
        f" and {found.reward_calls:,} scores: {time}"
    )


def format_duration(seconds: float) -> str:
    """Return *seconds* in a readable unit: seconds, minutes, hours or days."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    if hours < 48:
        return f"{hours} h"
    return f"{round(seconds / 86400):,} days"
