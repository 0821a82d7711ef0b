"""Attempt: what a method may do for one query.

A method samples, asks and contrasts; the attempt owns seeds, scoring, events and the record. Each policy
call has a place (step, branch, phase, ordinal), fixed when the call is made, so seeds, journal keys and pools
never depend on timing. Concurrent calls are made in branches.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from tpo.errors import AttemptStopped, ConfigError, PolicyError, RewardError, TpoError
from tpo.events import PairChosen, StepStarted
from tpo.methods.branch import Branch
from tpo.methods.calls import Calls, worst
from tpo.methods.contrast import contrast
from tpo.methods.stopping import SampleRule, StoppingRule
from tpo.methods.tags import plain_response
from tpo.types import (
    Candidate,
    Messages,
    Pair,
    Sampling,
    Step,
    StopReason,
    Usage,
)

T = TypeVar("T")


class OpenStep(Branch):
    """A step under way, and its branch 0. Use it as ``async with attempt.step() as step``."""

    def __init__(self, attempt: Attempt, number: int, seen: tuple[Candidate, ...]) -> None:
        super().__init__(self, 0, seen)
        self.attempt = attempt
        self.number = number
        self._branches: dict[int, Branch] = {0: self}
        self._pair: Pair | None = None

    @property
    def pool(self) -> tuple[Candidate, ...]:
        """Scored candidates of all branches, first samples first."""
        return self._seen + self.record().scored

    def contrast(self, choose: Callable[[Sequence[Candidate]], Pair] = contrast) -> Pair:
        """Return the best and the worst of the pool, or the pair that *choose* takes, as the step's pair."""
        self._pair = choose(self.pool)
        self.attempt.calls.announce(PairChosen(self.attempt.query, self.number, self._pair))
        return self._pair

    def branch(self, index: int) -> Branch:
        """Open branch *index*, from 1 on; it sees the pool as it is now.

        Raises:
            TpoError: it was opened before, or the step has ended.
        """
        self.check_open()
        if index < 1 or index in self._branches:
            self.refuse(f"branch {index} cannot be opened: each is opened once, and they count from 1")
        opened = self._branches[index] = Branch(self, index, self.pool)
        return opened

    async def gather(self, *branches: Coroutine[Any, Any, T]) -> list[T]:
        """Run *branches* concurrently and return their results in order; a failure cancels the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(branch) for branch in branches]
        except BaseExceptionGroup as failures:
            raise worst([failures]) from None
        return [task.result() for task in tasks]

    def record(self) -> Step:
        """Return the step as it stands in a record, its calls in the order of their branches."""
        calls = [call for index in sorted(self._branches) for call in self._branches[index].calls]
        candidates = tuple(candidate for call in calls for candidate in call.drawn)
        return Step(self.number, tuple(call.record() for call in calls), candidates, self._pair)

    def check_open(self) -> None:
        """Refuse a call of a step that has ended."""
        if not self.attempt.is_open(self):
            self.refuse("a call was made outside of its step")

    def refuse(self, fault: str) -> NoReturn:
        """Raise a fault of the method.

        Raises:
            TpoError: always.
        """
        raise TpoError(f"query {self.attempt.query.id!r}, step {self.number}: {fault}")

    async def __aenter__(self) -> Self:
        self.attempt.enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.attempt.leave(self, whole=kind is None)


class Attempt:
    """One query under way: what a method works through.

    Args:
        calls: makes the policy and reward calls.
        sampling: sampling values of responses.
        critique_sampling: sampling values of critiques.
        stopping: rules that are asked when a step opens.
        elapsed: returns the seconds since the attempt started.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        sampling: Sampling,
        critique_sampling: Sampling,
        stopping: Sequence[StoppingRule] = (),
        elapsed: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.query = calls.query
        self.calls = calls
        self.sampling = sampling
        self.critique_sampling = critique_sampling
        self._stopping = stopping
        self._elapsed = elapsed
        self._first = OpenStep(self, 0, ())
        self._steps: list[Step] = []
        self._open: OpenStep | None = None
        self._opened = 0
        self._at = 0
        self.sampling_ended_by: StopReason | None = None
        """The rule that ended the draw of first samples early."""
        self.steps_before_fallback = 0
        """Number of steps before a fallback took over; a plateau does not count them."""

    @property
    def elapsed(self) -> float:
        """Seconds since the attempt started."""
        return self._elapsed()

    @property
    def at(self) -> int:
        """Number of the step opened last, or refused by a stopping rule; 0 while first samples are drawn."""
        return self._at

    @property
    def usage(self) -> Usage:
        """Usage of all policy calls so far."""
        return sum(self.calls.usage.values(), Usage())

    @property
    def first(self) -> Step:
        """The first samples, as step 0."""
        return self._first.record()

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that have ended."""
        return tuple(self._steps)

    @property
    def pool(self) -> tuple[Candidate, ...]:
        """Scored candidates, first samples first."""
        if self._open is not None:
            return self._open.pool
        return self._first.pool + tuple(candidate for step in self._steps for candidate in step.scored)

    async def sample(self, messages: Messages, *, n: int, start: int = 0) -> tuple[Candidate, ...]:
        """Draw *n* first responses and score them into the pool. Return the scored ones, in order.

        With *start*, the first draw is continued: its samples from index *start* on. With a sample rule they
        are drawn in rounds, until the rule ends the draw.

        Raises:
            TpoError: no sample so far has both text and a score, so there is nothing to go on with.
        """
        self._at = 0
        rules = [rule for rule in self._stopping if isinstance(rule, SampleRule)]
        size = min([n, *(rule.round_size for rule in rules)])
        drawn: tuple[Candidate, ...] = ()
        for done in range(0, n, size):
            if done:
                self._ask_rules()
                enough = (r.name for r in rules if _decision(r.name, "is_enough", r.is_enough(self)))
                if (name := next(enough, None)) is not None:
                    self.sampling_ended_by = name
                    break
            count = min(size, n - done)
            drawn += await self._first.sample(
                "sample", messages, n=count, start=start + done, read=plain_response
            )
        if not self._first.pool:
            raise self._nothing_drawn()
        return drawn

    def _ask_rules(self) -> None:
        """End the attempt where a stopping rule says so."""
        for rule in self._stopping:
            if _decision(rule.name, "should_stop", rule.should_stop(self)):
                raise AttemptStopped(rule.name)

    def _nothing_drawn(self) -> TpoError:
        """Return why there is no first sample to go on with."""
        call = self._first.calls[-1]
        if call.unscored is not None:
            return RewardError(call.unscored)
        cut = any(reply.finish_reason == "length" for reply in call.replies.values())
        cause = (
            "the token limit ended them before any answer: raise --max-tokens" if cut else "they are blank"
        )
        return PolicyError(f"query {self.query.id!r}: no first sample holds a text; {cause}")

    def step(self) -> OpenStep:
        """Return the next step, to be entered with ``async with``; entering asks the stopping rules."""
        return OpenStep(self, self._opened + 1, self.pool)

    def stop(self, reason: str) -> NoReturn:
        """End the attempt here; *reason* is the record's stop reason, the best so far the answer."""
        raise AttemptStopped(reason)

    def is_open(self, step: OpenStep) -> bool:
        """Return whether *step* may make calls: it is entered, or it is step 0 and no other step is."""
        return self._open is step or (step is self._first and self._open is None)

    def enter(self, step: OpenStep) -> None:
        """Open *step* unless a stopping rule speaks."""
        if self._open is not None or step.number != self._opened + 1:
            step.refuse("it was opened while another one was open, or twice")
        self._at = step.number
        self._ask_rules()
        self._open = step
        self._opened += 1
        self.calls.announce(StepStarted(self.query, step.number))

    def leave(self, step: OpenStep, *, whole: bool) -> None:
        """Close *step* and record it; one that ended early without any reply is left out."""
        self._open = None
        record = step.record()
        if whole or record.calls:
            self._steps.append(record)


def _decision(rule: str, method: str, decided: object) -> bool:
    """Return what the *method* of *rule* decided.

    Raises:
        ConfigError: it is a coroutine or another awaitable, which would always count as true.
    """
    if inspect.isawaitable(decided):
        if inspect.iscoroutine(decided):
            decided.close()
        raise ConfigError(f"stopping rule {rule!r}: {method} must be a plain function, not an async one")
    return bool(decided)
