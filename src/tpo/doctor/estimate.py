"""Estimate of a run's calls, tokens and time, extrapolated from one query."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from tpo.doctor.data import EXAMPLE
from tpo.doctor.finding import good, unknown, warning
from tpo.doctor.setup import CheckState, Setup
from tpo.methods.best_of_n import BestOfN
from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.plurals import queries
from tpo.report.prices import Prices
from tpo.types import Trajectory, Usage

CHECK = "estimate"
DEFAULT_QUERIES = 1000
"""Number of queries in the estimate when no data set is given."""
PARALLEL = 8
"""Maximum queries whose first samples are drawn at once, to measure what running in parallel brings."""
SCALES = 0.7
"""Share of a proportional speedup from which more queries are assumed to be faster still."""
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
    """Seconds at the speedup of queries in parallel."""
    slowest: float
    """Seconds if the queries run one after another."""
    cost: float | None = None
    """Cost of the policy's tokens, where their prices are known."""

    @classmethod
    def extrapolate(
        cls,
        trajectory: Trajectory,
        method: Method,
        seconds: tuple[float, float],
        queries: int,
        speedup: float,
        prices: Prices | None = None,
    ) -> RunEstimate:
        """Extrapolate from a *trajectory* of one iteration.

        Args:
            trajectory: the measured query.
            method: the method of the run.
            seconds: time of the first samples, and of the iteration.
            queries: number of queries of the run.
            speedup: how many times as fast the queries are in parallel.
            prices: prices of tokens.
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
            slowest / max(1.0, min(speedup, queries)),
            slowest,
            None if prices is None else queries * prices.total(usage, _query_roles(trajectory, iterations)),
        )


def _query_usage(trajectory: Trajectory, iterations: int) -> Usage:
    """Return the usage of one query: its first samples, plus its step once per iteration."""
    steps = [step for step in trajectory.steps for _ in range(iterations)]
    return sum((call.usage for step in (trajectory.first, *steps) for call in step.calls), Usage())


def _query_roles(trajectory: Trajectory, iterations: int) -> dict[str, Usage]:
    """Return the usage of one query by role."""
    roles: dict[str, Usage] = {}
    for step in (trajectory.first, *(step for step in trajectory.steps for _ in range(iterations))):
        for call in step.calls:
            roles[call.role] = roles.get(call.role, Usage()) + call.usage
    return roles


async def check_estimate(setup: Setup, state: CheckState) -> None:
    """Report calls, tokens, time and cost for the data set, or for :data:`DEFAULT_QUERIES`."""
    if state.trajectory is None:
        state.report(unknown(CHECK, "not available: no query finished"))
        return
    settings = setup.settings
    queries = state.queries if state.queries is not None else settings.limit or DEFAULT_QUERIES
    seconds = (state.first_seconds, state.step_seconds)
    measured = await _measure_speedup(setup, state)
    speedup = settings.concurrency if measured is None else measured
    found = RunEstimate.extrapolate(state.trajectory, setup.method, seconds, queries, speedup, setup.prices)
    sentence = _sentence(found, settings.concurrency, measured)
    if found.cost is not None and setup.prices is not None:
        sentence += f"; the policy's tokens cost about {found.cost:,.2f} {setup.prices.currency}"
    values = {name: getattr(found, name) for name in RunEstimate.__slots__} | {"speedup": measured}
    if found.fastest > WEEK:
        advice = "use more servers, fewer samples or iterations (-n, -d), or a part of the data (--limit)"
        state.report(warning(CHECK, sentence, advice, **values))
    else:
        state.report(good(CHECK, sentence, **values))


async def _measure_speedup(setup: Setup, state: CheckState) -> float | None:
    """Return how many times as fast queries are in parallel, by the first samples of a few at once.

    None where they are nearly as fast as one: then more may be in parallel than were tried.
    """
    count = min(PARALLEL, setup.settings.concurrency)
    if state.policy is None or state.reward is None or count < 2 or state.first_seconds <= 0:
        return None
    query = state.query or EXAMPLE
    method = BestOfN(
        wording=setup.method.wording,
        **{
            name: getattr(setup.method, name)
            for name in ("sample_size", "temperature", "top_p", "max_tokens")
        },
    )
    optimizer = Optimizer(state.policy, state.reward, method, seed=setup.settings.seed, clock=setup.now)
    started = setup.now()
    await asyncio.gather(
        *(optimizer.optimize(replace(query, id=f"{query.id} parallel {i}")) for i in range(count))
    )
    seconds = setup.now() - started
    if seconds <= 0:
        return None
    speedup = max(1.0, count * state.first_seconds / seconds)
    return None if speedup >= SCALES * count else speedup


def _sentence(found: RunEstimate, concurrency: int, measured: float | None) -> str:
    shortest, longest = format_duration(found.fastest), format_duration(found.slowest)
    tried = min(PARALLEL, concurrency)
    if shortest == longest:
        time = f"about {shortest}" if found.slowest >= 1 else shortest
    elif measured is None:
        time = f"{shortest} if {concurrency} parallel queries run as fast as one, {longest} one after another"
    else:
        time = (
            f"about {shortest}, at {measured:.1f} times the speed of one query as {tried} queries at once"
            f" showed; {longest} one after another"
        )
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
