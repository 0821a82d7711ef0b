"""A policy that says what it was told to: for tests and examples, without a model.

    policy = ScriptedPolicy({"sample": ["poor", "better"], "update": improved("best")})

A reply is

- a text, the same for every sample;
- a sequence, one reply an index, from the start again when it ends;
- a function of the call and the sample's index;
- a ``Completion``, for a finish reason, reasoning or usage of its own (its index is put right);
- an exception, raised when that sample's turn comes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Union

from tpo.errors import PolicyError
from tpo.types import Completion, Delta, Messages, Phase, Sampling, Scope, Usage, plain_text


@dataclass(frozen=True, slots=True)
class PolicyCall:
    """Arguments of a policy call."""

    messages: Messages
    sampling: Sampling
    scope: Scope


Line = str | Completion | Exception
Reply = Union[Line, Sequence[Line], Callable[[PolicyCall, int], Line]]  # noqa: UP007 - Callable | needs quotes
Script = Mapping[Phase | tuple[Phase, int], Reply]
"""Replies by phase, or by (phase, step), the closer match first."""


def improved(text: str) -> str:
    """An update as the shipped recipes read it."""
    return f"<improved_response>{text}</improved_response>"


def _default(call: PolicyCall, index: int) -> str:
    text = f"{call.scope.phase} {call.scope.step}.{index} of {call.scope.query}"
    return improved(text) if call.scope.phase == "update" else text


class ScriptedPolicy:
    """Answers from *script*; without one, each reply names its phase, step, index and query.

    Tokens are words, counted as a server would: the prompt's with the completion that comes first.

    Args:
        script: replies by phase, or one reply for all.
        failures: exceptions by scope; a scope without an index fails its whole call, before any reply.
        order: the order to yield in, given the indices: ``reversed``, say.
        before: awaited before each completion, given the call and the index: ``lambda *_: event.wait()``.
    """

    def __init__(
        self,
        script: Script | Reply = _default,
        *,
        failures: Mapping[Scope, Exception] | None = None,
        order: Callable[[Sequence[int]], Iterable[int]] = iter,
        before: Callable[[PolicyCall, int], Awaitable[object]] | None = None,
    ) -> None:
        self.calls: list[PolicyCall] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._script = script
        self._failures = failures or {}
        self._order = order
        self._before = before

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Record the call and yield its scripted replies."""
        call = PolicyCall(messages, sampling, scope)
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            async for completion in self._replies(call):
                yield completion
        finally:
            self.in_flight -= 1

    async def stream(
        self, messages: Messages, sampling: Sampling, scope: Scope
    ) -> AsyncIterator[Completion | Delta]:
        """Do the same, and yield the words of each reply before it."""
        async for completion in self.sample(messages, sampling, scope):
            for piece in re.findall(r"\S+\s*|\s+", completion.text):
                yield Delta(completion.index, piece)
            yield completion

    async def _replies(self, call: PolicyCall) -> AsyncIterator[Completion]:
        self._fail_at(call.scope)
        prompt = Usage(calls=1, prompt_tokens=sum(_words(plain_text(m)) for m in call.messages))
        for index in self._order(range(call.sampling.n)):
            await (self._before(call, index) if self._before else asyncio.sleep(0))
            self._fail_at(replace(call.scope, index=index))
            yield _completion(self._line(call, index), index, prompt)
            prompt = Usage()

    def _fail_at(self, scope: Scope) -> None:
        if scope in self._failures:
            raise self._failures[scope]

    def _line(self, call: PolicyCall, index: int) -> Line:
        reply = self._reply(call)
        if isinstance(reply, str | Completion | Exception):
            return reply
        return reply(call, index) if callable(reply) else reply[index % len(reply)]

    def _reply(self, call: PolicyCall) -> Reply:
        if not isinstance(self._script, Mapping):
            return self._script
        phase, step = call.scope.phase, call.scope.step
        for key in ((phase, step), phase):
            if key in self._script:
                return self._script[key]
        raise PolicyError(f"nothing is scripted for {phase} of step {step}")


def _completion(line: Line, index: int, prompt: Usage) -> Completion:
    if isinstance(line, Exception):
        raise line
    if isinstance(line, str):
        return Completion(index, line, usage=prompt + Usage(completion_tokens=_words(line)))
    return replace(line, index=index, usage=prompt + line.usage)


def _words(text: str) -> int:
    return len(text.split())
