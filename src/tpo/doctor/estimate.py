"""What the whole run will take, by what one query took."""

from __future__ import annotations

from dataclasses import dataclass

from tpo.counting import queries
from tpo.doctor.finding import good, unknown, warning
from tpo.doctor.patient import Notes, Patient
from tpo.methods.method import Method
from tpo.types import Trajectory, Usage

CHECK = "estimate"
ROUND = 1000
"""Queries of the estimate where there is no data yet."""
A_WEEK = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of *queries*: model calls, tokens, and seconds between two bounds."""

    queries: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    reward_calls: int
    fastest: float
    """If as many queries as --concurrency go on at once, each as fast as the one."""
    slowest: float
    """If they go one after the other."""

    @classmethod
    def of(
        cls, trajectory: Trajectory, recipe: Method, seconds: tuple[float, float], queries: int, at_once: int
    ) -> Estimate:
        """From a *trajectory* of one iteration; *seconds* of its first samples and of its iteration."""
        iterations = recipe.max_iterations
        usage = _whole(trajectory, iterations)
        first, step = seconds
        slowest = queries * (first + iterations * step)
        return cls(
            queries,
            queries * usage.calls,
            queries * usage.prompt_tokens,
            queries * usage.completion_tokens,
            queries * recipe.cost(recipe.sample_size, iterations).scores,
            slowest / max(1, min(at_once, queries)),
            slowest,
        )


def _whole(trajectory: Trajectory, iterations: int) -> Usage:
    """Return the usage of one query: that of its first samples, and its step's for each iteration."""
    steps = [step for step in trajectory.steps for _ in range(iterations)]
    return sum((call.usage for step in (trajectory.first, *steps) for call in step.calls), Usage())


async def check_estimate(patient: Patient, notes: Notes) -> None:
    """Calls, tokens and time of the data set, or of a thousand queries."""
    if notes.trajectory is None:
        notes.tell(unknown(CHECK, "none, since no query came through"))
        return
    settings = patient.settings
    queries = notes.queries if notes.queries is not None else settings.limit or ROUND
    seconds = (notes.first_seconds, notes.step_seconds)
    found = Estimate.of(notes.trajectory, patient.recipe, seconds, queries, settings.concurrency)
    sentence = _sentence(found, settings.concurrency)
    values = {name: getattr(found, name) for name in Estimate.__slots__}
    if found.fastest > A_WEEK:
        advice = "more servers, fewer samples or iterations (-n, -d), or a first part with --limit"
        notes.tell(warning(CHECK, sentence, advice, **values))
    else:
        notes.tell(good(CHECK, sentence, **values))


def _sentence(found: Estimate, at_once: int) -> str:
    shortest, longest = duration(found.fastest), duration(found.slowest)
    time = f"{shortest} if {at_once} queries at once go as fast as one, {longest} one after the other"
    if shortest == longest:
        time = f"about {shortest}" if found.slowest >= 1 else shortest
    return (
        f"{queries(found.queries)} will take {found.calls:,} model calls"
        f" ({found.prompt_tokens:,} tokens read, {found.completion_tokens:,} written)"
        f" and {found.reward_calls:,} scores: {time}"
    )


def duration(seconds: float) -> str:
    """Seconds as people say them, in two units at most."""
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
