"""Effect of a method in a run: warnings where it changed nothing, did harm, or exploited its reward."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from tpo.plurals import queries
from tpo.types import Candidate, Trajectory, Usage

EARLY_QUERIES = 10
"""Number of finished queries from which means are judged, and at which a run under way is judged first."""
UNCHANGED_SHARE = 0.9
"""Share of queries without a better response from which the method counts as without effect."""
ERRORS = 2.0
"""Standard errors by which a mean must differ from 0."""


@dataclass(frozen=True, slots=True)
class PairedMean:
    """Mean of a difference within queries, with its standard error."""

    count: int = 0
    mean: float = 0.0
    error: float = 0.0

    @property
    def sign(self) -> int:
        """1 or -1 where the mean differs from 0 by :data:`ERRORS` standard errors, else 0."""
        if self.count < EARLY_QUERIES or abs(self.mean) <= ERRORS * self.error:
            return 0
        return 1 if self.mean > 0 else -1


@dataclass(frozen=True, slots=True)
class Effect:
    """Counts and means over the finished queries that a method took a step with.

    Attributes:
        queries: number of these queries.
        updates, readable: updates drawn, and those among them that held a response.
        without_update: queries of which no update was readable.
        unchanged: queries whose best response is a first sample.
        fallbacks: queries that a fallback took over.
        sample_size: most first samples of a query that no fallback took over.
        steps: most steps of a query; a fallback takes over after the first of several.
        tokens, first_tokens: tokens of all policy calls, and of first samples.
        updates_gain: mean reward of the updates minus that of the first samples.
        best_gain: best reward of the pool minus the best of the first samples.
        check_gain: the check reward's increase from the best first sample to the answer.
    """

    queries: int = 0
    updates: int = 0
    readable: int = 0
    without_update: int = 0
    unchanged: int = 0
    fallbacks: int = 0
    sample_size: int = 0
    steps: int = 0
    tokens: int = 0
    first_tokens: int = 0
    updates_gain: PairedMean = PairedMean()
    best_gain: PairedMean = PairedMean()
    check_gain: PairedMean = PairedMean()

    def warnings(self) -> dict[str, str]:
        """Return sentences by kind; empty where the method did what it is for."""
        found = {}
        same = f"there this equals best-of-{self.sample_size}{self._times()}"
        if self.without_update and 2 * self.without_update >= self.queries:
            found["no_update"] = self._no_update(same)
        elif self.queries >= EARLY_QUERIES and self.unchanged >= UNCHANGED_SHARE * self.queries:
            where = f"{self.unchanged:,} of {queries(self.queries)}"
            found["unchanged"] = f"the best response is a first sample in {where}: {same}"
        fall, check = self.updates_gain, self.check_gain
        if fall.sign < 0:
            found["falling"] = (
                f"updates have a lower reward than first samples, by {-fall.mean:.3g} on average"
                f" (standard error {fall.error:.2g}, {queries(fall.count)})"
            )
        if check.sign < 0 and self.best_gain.mean > 0:
            found["over_optimization"] = (
                f"the guiding reward rose by {self.best_gain.mean:.3g} and the check reward fell by"
                f" {-check.mean:.3g} (standard error {check.error:.2g}): the method exploits its reward;"
                " take fewer steps or another reward"
            )
        return found

    def _no_update(self, same: str) -> str:
        text = (
            f"no update could be read in {self.without_update:,} of {queries(self.queries)}"
            f" ({self.readable:,} of {self.updates:,} updates were readable)"
        )
        if self.fallbacks:
            return f"{text}: a fallback took over in {queries(self.fallbacks)}"
        advice = ", --method bon, or --fallback" if self.steps > 1 else " or --method bon"
        return f"{text}: {same}; use a model that follows the format{advice}"

    def _times(self) -> str:
        """Return the cost of the method in that of the first samples, where tokens are known."""
        if not self.first_tokens or self.tokens <= self.first_tokens:
            return ""
        return f" at {self.tokens / self.first_tokens:.1f} times the tokens"


@dataclass
class _Moments:
    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.squares += value * value

    def mean(self) -> PairedMean:
        if not self.count:
            return PairedMean()
        mean = self.total / self.count
        variance = max(self.squares / self.count - mean * mean, 0.0)
        error = math.sqrt(variance / (self.count - 1)) if self.count > 1 else 0.0
        return PairedMean(self.count, mean, error)


@dataclass
class EffectTally:
    """Adds up the effect of finished trajectories."""

    _sums: dict[str, int] = field(default_factory=dict)
    _gains: dict[str, _Moments] = field(
        default_factory=lambda: {name: _Moments() for name in ("updates_gain", "best_gain", "check_gain")}
    )

    def add(self, trajectory: Trajectory) -> None:
        """Count *trajectory*, unless it has no step or no first sample."""
        drawn = sum(len(step.candidates) + len(step.unreadable) for step in trajectory.steps)
        first = trajectory.initial
        if not drawn or not first:
            return
        updates = [candidate for step in trajectory.steps for candidate in step.candidates]
        best_first, best = _best(first), _best(trajectory.pool)
        size = 0 if trajectory.fallback else len(trajectory.first.candidates)
        self._count("queries", 1)
        self._count("updates", drawn)
        self._count("readable", len(updates))
        self._count("without_update", not updates)
        self._count("unchanged", best.reward <= best_first.reward)
        self._count("fallbacks", trajectory.fallback is not None)
        self._count("tokens", sum(trajectory.usage.values(), Usage()).tokens)
        self._count("first_tokens", trajectory.first_usage.tokens)
        self._sums["sample_size"] = max(self._sums.get("sample_size", 0), size)
        self._sums["steps"] = max(self._sums.get("steps", 0), len(trajectory.steps))
        self._gains["best_gain"].add(best.reward - best_first.reward)
        scored = [candidate for candidate in updates if candidate.score is not None]
        if scored:
            self._gains["updates_gain"].add(_mean(scored) - _mean(first))
        answer = trajectory.best
        before, after = _check(best_first), None if answer is None else _check(answer)
        if before is not None and after is not None:
            self._gains["check_gain"].add(after - before)

    def effect(self) -> Effect:
        """Return the effect so far."""
        values: dict[str, Any] = {name: moments.mean() for name, moments in self._gains.items()}
        return Effect(**values | self._sums)

    def _count(self, name: str, count: int) -> None:
        self._sums[name] = self._sums.get(name, 0) + int(count)


def effect_of(trajectory: Trajectory) -> Effect:
    """Return the effect of a method on one query."""
    tally = EffectTally()
    tally.add(trajectory)
    return tally.effect()


def _best(pool: tuple[Candidate, ...]) -> Candidate:
    return max(pool, key=lambda candidate: candidate.reward)


def _mean(candidates: tuple[Candidate, ...] | list[Candidate]) -> float:
    return sum(candidate.reward for candidate in candidates) / len(candidates)


def _check(candidate: Candidate) -> float | None:
    return None if candidate.score is None else candidate.score.check
