"""A policy and a reward over simulated engines: lengths are drawn, and texts stand for lengths."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.simulation.engine import Engine, Served
from benchmarks.simulation.texts import Run, length, mark, prompt_runs, text_runs

from tpo.methods.tags import CLOSING, OPENING
from tpo.rewards.async_batching import Gatherer
from tpo.types import Completion, Messages, Query, Sampling, Scope, Score, Usage, user

Delivery = Literal["each", "together"]
"""Whether a call's completions come one by one, as they are finished, or when the last one is."""

Priority = Callable[[Scope], float]
"""A call's place in the engine's queue, lowest first."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long texts are, in tokens: lognormal, and a query with long answers has long ones throughout.

    Attributes:
        answer: median of a response; *critique* of a loss or gradient, *question* of a query.
        query_spread: sigma between queries; *spread* between the replies to one.
        most: where a reply is cut.
    """

    answer: int = 380
    critique: int = 150
    question: int = 60
    query_spread: float = 0.5
    spread: float = 0.35
    most: int = 2048

    def of_reply(self, scope: Scope, seed: int) -> int:
        """Tokens of the reply that *seed* draws at *scope*."""
        median = self.critique if scope.phase in ("loss", "gradient") else self.answer
        scale = drawn(f"query {scope.query}").gauss(0.0, self.query_spread)
        own = drawn(f"reply {scope.query} {seed}").gauss(0.0, self.spread)
        return self._cut(median, scale + own)

    def of_question(self, query: str) -> int:
        """Tokens of the query itself."""
        return self._cut(self.question, drawn(f"question {query}").gauss(0.0, 1.0))

    def _cut(self, median: int, exponent: float) -> int:
        return max(4, min(self.most, round(median * math.exp(exponent))))


def drawn(place: str) -> random.Random:
    """Luck that hangs on *place* alone."""
    digest = hashlib.blake2b(place.encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))  # noqa: S311 - a simulation


def queries(count: int, lengths: Lengths) -> Iterator[Query]:
    """So many queries of drawn lengths."""
    for number in range(count):
        name = f"q{number}"
        yield Query(name, (user(mark(name, lengths.of_question(name))),))


def first_come(scope: Scope) -> float:
    """The same place for all: the order in which they come."""
    del scope
    return 0.0


@dataclass
class SimulatedPolicy:
    """Replies of drawn lengths, written by *engine*."""

    engine: Engine
    lengths: Lengths
    delivery: Delivery = "each"
    priority: Priority = first_come

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the replies as the engine finishes them, by the policy's *delivery*."""
        prompt = prompt_runs(messages)
        tasks = [self._one(prompt, sampling.seed + i, scope, i) for i in range(sampling.n)]
        if self.delivery == "together":
            for completion in await asyncio.gather(*tasks):
                yield completion
        else:
            for finished in asyncio.as_completed(tasks):
                yield await finished

    def _one(self, prompt: list[Run], seed: int, scope: Scope, index: int) -> asyncio.Future[Completion]:
        text = mark(f"{scope.query}_{scope.step}_{scope.phase}_{index}", self.lengths.of_reply(scope, seed))
        if scope.phase == "update":
            text = f"{OPENING}{text}{CLOSING}"
        reply = list(text_runs(text))
        served = self.engine.submit(prompt, reply, self.priority(scope))
        done: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()

        def hand_on(ended: asyncio.Future[Served]) -> None:
            if error := ended.exception():
                done.set_exception(error)
            else:
                done.set_result(_completion(ended.result(), index, text, reply))

        served.add_done_callback(hand_on)
        return done


def _completion(served: Served, index: int, text: str, reply: Sequence[Run]) -> Completion:
    usage = Usage(int(index == 0), served.prompt_tokens, served.cached_tokens, length(reply))
    return Completion(index, text, usage=usage)


class SimulatedReward:
    """An 8B classifier on a card of its own; what waits is scored together, within *budget* tokens.

    *overhead* seconds a batch (an eager forward pass) and *token* seconds a token, padding counted. The real
    micro-batcher chooses the batches. A budget of 1 scores one response at a time. Rewards are normal, and
    rise by *gain* standard deviations a step.
    """

    def __init__(
        self, *, overhead: float = 25e-3, token: float = 2.7e-5, budget: int = 16_384, gain: float = 0.0
    ) -> None:
        self.gain = gain
        self.seconds = 0.0
        self.tokens = 0
        self._overhead = overhead
        self._token = token
        self._gatherer: Gatherer[tuple[int, float], float] = Gatherer(
            self._compute, length=lambda item: item[0], budget=budget, in_flight=1
        )

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """A value of the response's own, after the time that its batch takes."""
        tokens = length(prompt_runs(messages)) + length(text_runs(response))
        value = drawn(f"reward {response}").gauss(self.gain * scope.step, 1.0)
        return Score(await self._gatherer.submit((tokens, value)), tokens)

    async def _compute(self, batch: Sequence[tuple[int, float]]) -> list[float]:
        padded = len(batch) * max(tokens for tokens, _ in batch)
        seconds = self._overhead + self._token * padded
        self.seconds += seconds
        self.tokens += sum(tokens for tokens, _ in batch)
        await asyncio.sleep(seconds)
        return [value for _, value in batch]
