"""Record of a query: its steps and its answer."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, Self

from tpo.errors import DataError, PolicyError, RewardError, TpoError
from tpo.frozen import freeze
from tpo.types.calls import Call, Phase, Reply, Usage
from tpo.types.candidates import Candidate, Pair
from tpo.types.messages import Query, excerpt

Status = Literal["finished", "failed"]
FailureKind = Literal["server", "reward", "data", "method"]
"""Kind of a failure: the policy's server or model, the reward, the data, or the method's code."""
StopReason = str
"""``max_iterations``, ``method_ended``, ``error``, or the name of the rule that ended the query."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds since the epoch."""

    started: float
    ended: float


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """An iteration (or, with number 0, the first samples): its calls and the candidates they brought.

    *pair* is the contrast where the method contrasts one pair.
    """

    number: int
    calls: tuple[Call, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    pair: Pair | None = None

    def __repr__(self) -> str:
        return f"Step({self.number}, {len(self.calls)} calls, {len(self.candidates)} candidates)"

    @property
    def scored(self) -> tuple[Candidate, ...]:
        """The candidates that have a score."""
        return tuple(candidate for candidate in self.candidates if candidate.score is not None)

    @property
    def blank(self) -> int:
        """Number of completions that were to be responses and hold no text beside reasoning."""
        return sum(not reply.text.strip() for reply in self.unreadable)

    @property
    def unreadable(self) -> tuple[Reply, ...]:
        """The completions from which no response could be read, in the order of their calls."""
        return tuple(reply for call in self.calls if call.reads for reply in call.replies)


@dataclass(frozen=True, slots=True)
class RewardUsage:
    """Cost of scoring."""

    calls: int = 0
    tokens: int = 0


class _Raised:
    """Slot for the exception of a failed trajectory, which is no part of its value."""

    __slots__ = ("_raised",)


@dataclass(frozen=True, slots=True, repr=False)
class Trajectory(_Raised):
    """A query's way from its first samples to its answer, whole or as far as it came.

    Attributes:
        query: what was asked.
        method: the method's name.
        first: the first samples, as step 0.
        steps: the iterations, numbered from 1.
        status: ``finished`` or ``failed``.
        stop_reason: why it ended.
        error: why it failed.
        usage: policy usage by phase.
        reward_usage: what scoring cost.
        timing: start and end.
        selection: the rule that chose the answer from the pool.
        selected: id of the answer; None if nothing was scored.
        fallback: the method that spent the rest of the budget, where one took over.
        failure: what a failed query failed of.
        selection_usage: what the selection's judge took.
    """

    query: Query
    method: str
    first: Step
    steps: tuple[Step, ...]
    status: Status
    stop_reason: StopReason
    error: str | None
    usage: Mapping[Phase, Usage]
    reward_usage: RewardUsage
    timing: Timing
    selection: str = "reward"
    selected: str | None = None
    fallback: str | None = None
    failure: FailureKind | None = None
    selection_usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        object.__setattr__(self, "usage", freeze(self.usage))

    def __repr__(self) -> str:
        best = "" if self.best is None or self.best.score is None else f", best {self.best.reward:+.3f}"
        failed = "" if self.error is None else f": {excerpt(self.error)}"
        return (
            f"Trajectory({self.query.id!r}, {self.method}, {len(self.candidates)} candidates{best}"
            f", {self.status}{failed})"
        )

    @property
    def initial(self) -> tuple[Candidate, ...]:
        """The scored first samples."""
        return self.first.scored

    @property
    def first_usage(self) -> Usage:
        """Policy usage of the first samples; a record of schema 1 has it by phase alone."""
        counted = sum((call.usage for call in self.first.calls), Usage())
        return self.usage.get("sample", counted) if counted == Usage() else counted

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every candidate, those without a score included, first samples first."""
        return self.first.candidates + tuple(c for step in self.steps for c in step.candidates)

    @property
    def pool(self) -> tuple[Candidate, ...]:
        """Every scored candidate, first samples first."""
        return tuple(c for c in self.candidates if c.score is not None)

    @property
    def best(self) -> Candidate | None:
        """The selected candidate, else the earliest of the highest reward; None of an empty pool."""
        selected = next((c for c in self.candidates if c.id == self.selected), None)
        return selected or max(self.pool, key=lambda c: c.reward, default=None)

    @property
    def answer(self) -> str:
        """The best response's text.

        Raises:
            TpoError: the query failed before any response was scored.
        """
        if self.best is None:
            raise TpoError(f"query {self.query.id!r} has no answer: {self.error}")
        return self.best.text

    @property
    def exception(self) -> BaseException | None:
        """The exception that the query failed of; None if it finished.

        A trajectory from a file or another process has an error of the kind that its record names.
        """
        if self.status == "finished":
            return None
        raised: BaseException | None = getattr(self, "_raised", None)
        return raised if raised is not None else self._recorded()

    def raise_for_status(self) -> Self:
        """Return the trajectory itself if its query finished.

        Raises:
            TpoError: the query failed; it is the ``exception``, or has it as its cause.
        """
        failed = self.exception
        if failed is None:
            return self
        if isinstance(failed, TpoError):
            raise failed
        raise self._recorded() from failed

    def caused_by(self, failure: BaseException) -> Self:
        """Return the same trajectory with *failure* as its exception."""
        same = replace(self)
        object.__setattr__(same, "_raised", failure)
        return same

    def _recorded(self) -> TpoError:
        """Return an error that says what the record says."""
        named = f"query {self.query.id!r}"
        error = self.error or "failed"
        return _ERRORS.get(self.failure, TpoError)(error if named in error else f"{named}: {error}")

    def to_dict(self) -> dict[str, Any]:
        """Return the trajectory in JSON's types, for ``from_dict``; its keys are the attributes."""
        plain: dict[str, Any] = _plain(self)
        return plain

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Trajectory:
        """Return the trajectory of which ``to_dict`` gave *value*.

        Raises:
            DataError: *value* holds no whole trajectory; the message names the first fault.
        """
        from pydantic import ValidationError

        try:
            found: Trajectory = _adapter().validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the value"
            raise DataError(f"no trajectory: {where}: {first['msg']}") from error
        return found


_ERRORS: Mapping[FailureKind | None, type[TpoError]] = {
    "server": PolicyError,
    "reward": RewardError,
    "data": DataError,
}


def _plain(value: Any) -> Any:
    """Return *value* in JSON's types; what they cannot hold becomes its text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


@functools.cache
def _adapter() -> Any:
    """Return pydantic's adapter of a trajectory, which takes milliseconds to make."""
    from pydantic import TypeAdapter

    return TypeAdapter(Trajectory)
