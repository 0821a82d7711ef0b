"""Branch: the calls of a step that are made one after another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from tpo.events import CritiqueWritten
from tpo.methods.open_call import OpenCall
from tpo.methods.seeds import base_seed
from tpo.methods.tags import Reader, tagged_response
from tpo.types import CRITIC, WRITER, Call, Candidate, Messages, Phase, Sampling, Scope

if TYPE_CHECKING:  # a step is a branch, so the import at run time goes the other way
    from tpo.methods.attempt import OpenStep

RESERVED = "reward"
"""The phase of scoring calls."""


class Branch:
    """One branch of a step; its calls are made one after another.

    ``pool`` holds the candidates that were there when the branch was opened, and its own. Other branches'
    candidates join when the step has ended.
    """

    def __init__(self, step: OpenStep, index: int, seen: tuple[Candidate, ...]) -> None:
        self.index = index
        self._step = step
        self._seen = seen
        self._calls: list[OpenCall] = []
        self._ordinals: Counter[Phase] = Counter()

    @property
    def pool(self) -> tuple[Candidate, ...]:
        """Scored candidates, first samples first."""
        return self._seen + tuple(candidate for call in self._calls for candidate in call.scored)

    async def ask(
        self,
        phase: Phase,
        messages: Messages,
        *,
        n: int = 1,
        role: str = CRITIC,
        sampling: Sampling | None = None,
    ) -> Call:
        """Make a call whose replies are no responses: a critique. Return it with its replies.

        Args:
            phase: purpose of the call.
            messages: the prompt.
            n: number of replies.
            role: who answers.
            sampling: sampling values other than the method's for critiques; ``n`` and ``seed`` are set here.
        """
        call = self._open(phase, messages, n, role, sampling or self._step.attempt.critique_sampling)
        await self._step.attempt.calls.ask(call)
        record = call.record()
        attempt = self._step.attempt
        attempt.calls.announce(CritiqueWritten(attempt.query, self._step.number, record))
        return record

    async def sample(
        self,
        phase: Phase,
        messages: Messages,
        *,
        n: int,
        start: int = 0,
        read: Reader = tagged_response,
        parents: Sequence[Candidate] = (),
        role: str = WRITER,
        sampling: Sampling | None = None,
    ) -> tuple[Candidate, ...]:
        """Draw *n* responses and score them into the pool. Return the scored ones, in order.

        A completion in which *read* finds no response is recorded and not scored.

        Args:
            phase: purpose of the call.
            messages: the prompt.
            n: number of samples.
            start: index of the first one; above 0, the last call of this phase is continued: with *start* 3
                and *n* 2 its samples 3 and 4 are drawn.
            read: finds the response in a completion.
            parents: candidates that the prompt shows.
            role: who answers.
            sampling: sampling values other than the method's for responses; ``n`` and ``seed`` are set here.

        Raises:
            TpoError: there is no call to continue, or it has another prompt or number of samples.
        """
        if start:
            call = self._continue(phase, messages, start, n)
        else:
            call = self._open(phase, messages, n, role, sampling or self._step.attempt.sampling)
            call.reads = True
            call.parents = tuple(candidate.id for candidate in parents)
            first = not self.index and not any(other.reads for other in self._calls[:-1])
            call.name = "" if first else f"{phase}.{self.index}.{call.scope.ordinal}"
        await self._step.attempt.calls.draw(call, read, start)
        return tuple(candidate for candidate in call.scored if candidate.index >= start)

    async def score(self, texts: Sequence[str]) -> tuple[float | None, ...]:
        """Score *texts* that are no responses, such as parts of one; they do not join the pool.

        Returns:
            The rewards in order; None where the reward refuses a text.
        """
        self._step.check_open()
        scope = Scope(
            self._step.attempt.query.id,
            self._step.number,
            RESERVED,
            branch=self.index,
            ordinal=self._ordinals[RESERVED],
        )
        self._ordinals[RESERVED] += 1
        return await self._step.attempt.calls.score(scope, texts)

    def random(self, purpose: Phase) -> Random:
        """Return a generator seeded from the run's seed, this branch's place and *purpose*.

        A resumed run repeats its numbers, whatever other queries do.
        """
        calls = self._step.attempt.calls
        scope = Scope(calls.query.id, self._step.number, purpose, branch=self.index)
        return Random(base_seed(calls.seed, scope, 1))  # noqa: S311 - no secret

    def _open(self, phase: Phase, messages: Messages, n: int, role: str, sampling: Sampling) -> OpenCall:
        self._step.check_open()
        if n < 1 or phase == RESERVED or not re.fullmatch(r"\w[\w-]*", phase):
            self._step.refuse(f"a call needs n of at least 1 and a phase name, got n={n}, phase {phase!r}")
        ordinal = self._ordinals[phase]
        self._ordinals[phase] += 1
        scope = Scope(
            self._step.attempt.query.id,
            self._step.number,
            phase,
            branch=self.index,
            ordinal=ordinal,
            role=role,
        )
        call = self._step.attempt.calls.open(scope, messages, replace(sampling, n=n))
        self._calls.append(call)
        return call

    def _continue(self, phase: Phase, messages: Messages, start: int, n: int) -> OpenCall:
        self._step.check_open()
        call = next((c for c in reversed(self._calls) if c.reads and c.scope.phase == phase), None)
        if call is None or call.messages != messages or call.sampling.n != start:
            self._step.refuse(f"no {phase} call of {start} samples with this prompt to continue")
        call.sampling = replace(call.sampling, n=start + n)
        return call

    @property
    def calls(self) -> list[OpenCall]:
        """The calls that brought a completion, in the order in which they were made."""
        return [call for call in self._calls if call.completions]
