"""Summary of a run: counts, mean rewards by step, costs and failures, added up by trajectory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tpo.runs.effect import Effect, EffectTally
from tpo.store.codec import Codec
from tpo.store.reader import read_attempts
from tpo.store.runfile import read_run
from tpo.types import JUDGE, Phase, RewardUsage, Trajectory, Usage

MAX_REASONS = 20
"""Different reasons of failure that are told apart; the rest are counted together."""

OTHER_REASONS = "other reasons"


@dataclass(frozen=True, slots=True)
class StepSummary:
    """One step over all finished queries; step 0 are the first samples.

    Attributes:
        step: its number.
        samples_mean: mean reward of the responses that this step drew; None if it drew none.
        best_mean: mean over queries of the best reward in the pool after this step. A query that stopped
            earlier stands with the best that it had, so that the steps compare the same queries.
        candidates: responses scored.
        malformed: updates that held no readable response.
    """

    step: int
    samples_mean: float | None
    best_mean: float | None
    candidates: int
    malformed: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in numbers. Costs and failures cover every query, rewards the finished ones."""

    finished: int
    failed: int
    by_step: tuple[StepSummary, ...]
    usage: Mapping[Phase, Usage]
    reward_usage: RewardUsage
    failures: Mapping[str, int]
    """Queries by reason, the query's own id left out of it."""
    stop_reasons: Mapping[str, int]
    seconds: float
    """Wall time of every invocation whose end is known."""
    retries: Mapping[str, int] = field(default_factory=dict)
    """Tries after the first by phase, of the same invocations."""
    failure_kinds: Mapping[str, int] = field(default_factory=dict)
    """Failed queries by what they failed of: ``server``, ``reward``, ``data``, ``method``."""
    blank: int = 0
    """Completions without any text, of finished queries: they are no candidates."""
    unscored: int = 0
    """Responses that got no score, of finished queries: they are kept, and never chosen."""
    roles: Mapping[str, Usage] = field(default_factory=dict)
    """Usage by role, of the policy calls that have one recorded and of the judge of a selection."""
    effect: Effect = field(default_factory=Effect)
    """Changes by the steps of finished queries."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences that say where the method had no effect, or did harm."""
        return tuple(self.effect.warnings().values())

    def record(self) -> dict[str, Any]:
        """In JSON's own types, for ``run.json``."""
        return asdict(self)

    @staticmethod
    def from_record(totals: Mapping[str, Any] | None) -> Summary | None:
        """Return the summary that :meth:`record` made *totals* of; None if there are none, or other ones."""
        if totals is None or totals.keys() != {each.name for each in fields(Summary)}:
            return None
        try:
            return _CODEC.decode_json(json.dumps(totals).encode())
        except ValueError:
            return None


_CODEC = Codec(Summary)


@dataclass
class _StepTally:
    rewards: float = 0.0
    candidates: int = 0
    malformed: int = 0
    best: float = 0.0
    """Of the queries that reached this step."""
    reached: int = 0
    last_best: float = 0.0
    """Of those among them that went no further."""
    stopped: int = 0


@dataclass
class Tally:
    """Adds up trajectories in memory that does not grow with their number."""

    finished: int = 0
    failed: int = 0
    _kinds: Counter[str] = field(default_factory=Counter)
    _blank: int = 0
    _unscored: int = 0
    _steps: list[_StepTally] = field(default_factory=list)
    _usage: dict[Phase, Usage] = field(default_factory=dict)
    _roles: dict[str, Usage] = field(default_factory=dict)
    _reward_usage: RewardUsage = field(default_factory=RewardUsage)
    _failures: Counter[str] = field(default_factory=Counter)
    _stop_reasons: Counter[str] = field(default_factory=Counter)
    _effect: EffectTally = field(default_factory=EffectTally)

    def add(self, trajectory: Trajectory) -> None:
        """Count *trajectory* in; each query once, by the line that counts."""
        self._stop_reasons[trajectory.stop_reason] += 1
        self._add_costs(trajectory)
        if trajectory.status == "finished":
            self.finished += 1
            self._add_rewards(trajectory)
            self._effect.add(trajectory)
        else:
            self.failed += 1
            self._failures[self._reason(trajectory)] += 1
            self._kinds[trajectory.failure or "method"] += 1

    def summary(self, seconds: float, retries: Mapping[str, int] | None = None) -> Summary:
        """Everything so far; *seconds* of wall time, and the *retries* by phase."""
        return Summary(
            finished=self.finished,
            failed=self.failed,
            by_step=self._by_step(),
            usage=dict(self._usage),
            reward_usage=self._reward_usage,
            failures=dict(self._failures.most_common()),
            stop_reasons=dict(self._stop_reasons.most_common()),
            seconds=seconds,
            retries=dict(retries or {}),
            failure_kinds=dict(self._kinds.most_common()),
            blank=self._blank,
            unscored=self._unscored,
            roles=dict(self._roles),
            effect=self.effect(),
        )

    def effect(self) -> Effect:
        """Return the effect of the method so far."""
        return self._effect.effect()

    def _add_costs(self, trajectory: Trajectory) -> None:
        for phase, usage in trajectory.usage.items():
            self._usage[phase] = self._usage.get(phase, Usage()) + usage
        for call in (call for step in (trajectory.first, *trajectory.steps) for call in step.calls):
            self._roles[call.role] = self._roles.get(call.role, Usage()) + call.usage
        if trajectory.selection_usage != Usage():
            self._roles[JUDGE] = self._roles.get(JUDGE, Usage()) + trajectory.selection_usage
        more = trajectory.reward_usage
        self._reward_usage = RewardUsage(
            self._reward_usage.calls + more.calls, self._reward_usage.tokens + more.tokens
        )

    def _add_rewards(self, trajectory: Trajectory) -> None:
        best = None
        steps = (trajectory.first, *trajectory.steps)
        self._blank += sum(step.blank for step in steps)
        self._unscored += len(trajectory.candidates) - len(trajectory.pool)
        groups = [(step.candidates, len(step.unreadable)) for step in steps]
        for number, (candidates, malformed) in enumerate(groups):
            tally = self._step(number)
            rewards = [candidate.reward for candidate in candidates if candidate.score is not None]
            tally.rewards += sum(rewards)
            tally.candidates += len(rewards)
            tally.malformed += malformed
            best = max([*rewards, *([] if best is None else [best])], default=None)
            if best is not None:
                tally.best += best
                tally.reached += 1
        if best is not None:
            tally.last_best += best
            tally.stopped += 1

    def _step(self, number: int) -> _StepTally:
        while len(self._steps) <= number:
            self._steps.append(_StepTally())
        return self._steps[number]

    def _reason(self, trajectory: Trajectory) -> str:
        reason = (trajectory.error or "no reason given").replace(repr(trajectory.query.id), "…")
        known = reason in self._failures or len(self._failures) < MAX_REASONS
        return reason if known else OTHER_REASONS

    def _by_step(self) -> tuple[StepSummary, ...]:
        rows = []
        carried, carried_queries = 0.0, 0
        for number, tally in enumerate(self._steps):
            rows.append(
                StepSummary(
                    step=number,
                    samples_mean=_mean(tally.rewards, tally.candidates),
                    best_mean=_mean(tally.best + carried, tally.reached + carried_queries),
                    candidates=tally.candidates,
                    malformed=tally.malformed,
                )
            )
            carried += tally.last_best
            carried_queries += tally.stopped
        return tuple(rows)


def summarize(path: Path) -> Summary:
    """The summary of the run in the directory *path*, from its trajectories, whether it has ended or not.

    A query counts by its latest attempt.

    Raises:
        StoreError: no run is there, or it cannot be read.
    """
    tally = Tally()
    for trajectory in read_attempts(path):
        tally.add(trajectory)
    record = read_run(path)
    return tally.summary(record.seconds, record.retries)


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None
