"""Decisions about one text: in one request where the server has a decision endpoint, else one by one.

The endpoint is ``POST /v1/systemone`` of vLLM 0.32, SGLang 0.5.23 and transformers 5. Elsewhere each question
is a chat request whose prompt begins with the text, so that a prefix cache holds it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from tpo.http import HttpClient, HttpFailure
from tpo.http.refusals import told_context
from tpo.http.tokens import ServerTokenizer
from tpo.per_loop import PerLoop
from tpo.rewards.decisions.fitting import SPARE_TOKENS, Build, least, needed_cut
from tpo.rewards.decisions.label_server import LabelServer
from tpo.rewards.decisions.labels import LabelAnswer, LabelQuestion
from tpo.types import Message, Usage, user

T = TypeVar("T")

YES, NO = "yes", "no"
MOST_QUESTIONS = 64
"""Questions that the endpoint takes in a request."""
MOST_LEVELS = 10
"""Levels of a scale, numbered by one digit each."""
PATH = "/systemone"


@dataclass(frozen=True, slots=True)
class Decision:
    """A question about a text: yes or no, or with *levels* one level of a scale, the lowest first.

    *order* lists yes and no in an order of its own, which measures how much the order counts.
    """

    text: str
    levels: tuple[str, ...] = ()
    order: tuple[str, str] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The replies, each one token: yes and no, or the levels' numbers from 0."""
        if self.levels:
            return tuple(str(number) for number in range(len(self.levels)))
        return self.order or (YES, NO)

    @property
    def prompt(self) -> str:
        """The question as a chat model reads it after the text."""
        if not self.levels:
            first, second = self.labels
            return f"{self.text}\n\nReply with one word and nothing else: {first} or {second}."
        levels = "\n".join(f"{number}: {level}" for number, level in enumerate(self.levels))
        return f"{self.text}\n\n{levels}\n\nReply with the number of one level and nothing else."

    @property
    def fields(self) -> dict[str, Any]:
        """The question as the endpoint takes it."""
        if self.levels:
            return {"type": "score", "instructions": self.text, "criteria": list(self.levels)}
        if self.order is not None:  # the endpoint's own question of yes or no has one order only
            return {"type": "choice", "instructions": self.text, "criteria": dict.fromkeys(self.order)}
        return {"type": "noul", "instructions": self.text}


@dataclass(frozen=True, slots=True)
class Fit:
    """Tokens that a prompt *lost* to fit into the *context*, None where that is unknown."""

    lost: int
    context: int | None


class DecisionServer(LabelServer):
    """A chat server that is asked several questions about one text.

    Where it has a decision endpoint, they share requests. That is found out by the first call, and again
    after the server went away. *options* are those of :class:`~tpo.rewards.decisions.labels.LabelServer`.
    """

    def __init__(self, client: HttpClient, model: str | None, **options: Any) -> None:
        self._probing = PerLoop(asyncio.Lock)
        super().__init__(client, model, **options)

    def forget(self) -> None:
        """Forget what is known of the server."""
        super().forget()
        self._has_endpoint: bool | None = None
        self._context: int | None = None
        self._tokenizer = ServerTokenizer(self.client)

    def without_endpoint(self) -> None:
        """Ask questions one by one, even where there is a decision endpoint."""
        self._has_endpoint = False

    @property
    def way(self) -> str:
        """The way in which the server is asked, in a few words."""
        return "the decision endpoint" if self._has_endpoint else super().way

    async def decide(self, text: str, decisions: Sequence[Decision]) -> list[LabelAnswer]:
        """Return the probabilities of each decision's labels.

        Raises:
            HttpFailure: the server did not answer.
            UnreadableReply: no reply held a label.
        """
        try:
            answers = await self._together(text, decisions)
        except HttpFailure as failure:
            if failure.unreachable or failure.broken:
                self.forget()
            raise
        if answers is not None:
            return answers
        asking = [self.ask(_question(text, decision)) for decision in decisions]
        return list(await asyncio.gather(*asking))

    async def context(self) -> int | None:
        """Return the tokens that the model reads, as far as the server told them."""
        return self._context or (await self.card()).context

    def learn_context(self, failure: HttpFailure, used: int | None) -> bool:
        """Keep the context that a refusal names; return whether it is smaller than the one *used*."""
        told = told_context(failure)
        if told is None or (used is not None and told >= used):
            return False
        self._context = told
        return True

    async def within_context(
        self, attempt: Callable[[int | None], Awaitable[T]], limit: int | None = None
    ) -> T:
        """Return what *attempt* gives for the model's context in tokens, of which at most *limit* are used.

        A context that a refusal names is kept, and tried next. So is a reply that turns out to be longer:
        the way in which a server answers is found out by the first attempt.

        Raises:
            HttpFailure: the server did not answer.
        """
        while True:
            context = least(limit, await self.context())
            reply = self.reply_tokens(context)
            try:
                return await attempt(context)
            except HttpFailure as failure:
                if not self.learn_context(failure, context) and self.reply_tokens(context) <= reply:
                    raise

    async def ask_fitted(
        self,
        build: Build,
        length: int,
        labels: tuple[str, ...],
        *,
        limit: int | None = None,
        second_turn: Message | None = None,
    ) -> tuple[LabelAnswer, Fit]:
        """Ask for one of *labels* with the prompt that *build* makes, cut to the context if need be.

        *length* counts the characters of its conversation, *limit* the tokens that the model reads.
        *second_turn* is that of :class:`~tpo.rewards.decisions.labels.LabelQuestion`.

        Raises:
            HttpFailure: the server did not answer.
            UnreadableReply: no reply held a label.
            TooLong: the prompt does not fit even without its conversation.
        """

        async def attempt(context: int | None) -> tuple[LabelAnswer, Fit]:
            cut = lost = 0
            if context is not None:
                replies = self.reply_tokens(context) * (1 if second_turn is None else 2)
                room = context - replies - SPARE_TOKENS
                cut, lost = await needed_cut(build, length, room, self.count)
            question = LabelQuestion(tuple(build(cut)), labels, second_turn)
            return await self.ask(question), Fit(lost, context)

        return await self.within_context(attempt, limit)

    async def count(self, messages: Sequence[Message]) -> int:
        """Return the tokens of *messages* as a prompt, estimated where the server does not count them."""
        return await self._tokenizer.count_or_estimate((await self.card()).name, tuple(messages))

    async def _together(self, text: str, decisions: Sequence[Decision]) -> list[LabelAnswer] | None:
        """Return the endpoint's answers; None where there is no endpoint for this model."""
        if self._has_endpoint is None:
            async with self._probing.get():  # many texts arrive at once: the first one finds out
                if self._has_endpoint is None:
                    return await self._probe(text, decisions)
        return await self._in_parts(text, decisions) if self._has_endpoint else None

    async def _probe(self, text: str, decisions: Sequence[Decision]) -> list[LabelAnswer] | None:
        try:
            answers = await self._in_parts(text, decisions)
        except HttpFailure as failure:
            if failure.status not in (400, 404, 422, 501) or told_context(failure) is not None:
                raise
            self._has_endpoint = False
            return None
        self._has_endpoint = True
        return answers

    async def _in_parts(self, text: str, decisions: Sequence[Decision]) -> list[LabelAnswer]:
        starts = range(0, len(decisions), MOST_QUESTIONS)
        parts = [self._request(text, decisions[start : start + MOST_QUESTIONS]) for start in starts]
        return [answer for part in await asyncio.gather(*parts) for answer in part]

    async def _request(self, text: str, decisions: Sequence[Decision]) -> list[LabelAnswer]:
        questions = {f"q{number}": decision.fields for number, decision in enumerate(decisions)}
        body = {"model": (await self.card()).name, "state": text, "questions": questions}
        read = partial(_read_answers, decisions=decisions)
        return await self.client.request("POST", PATH, body, read=read, work=_count)


def _question(text: str, decision: Decision) -> LabelQuestion:
    return LabelQuestion((user(f"{text}\n\n{decision.prompt}"),), decision.labels)


def _count(answers: Sequence[LabelAnswer]) -> float:
    return float(len(answers))


def _read_answers(reply: Any, decisions: Sequence[Decision]) -> list[LabelAnswer]:
    """Return one answer for each decision; the request's tokens stand with the first.

    Raises:
        HttpFailure: the reply has another shape.
    """
    try:
        answers, diagnostics = reply["answers"], reply.get("diagnostics") or {}
        usage = reply.get("usage") or {}
        read, written = (int(usage.get(name) or 0) for name in ("input_tokens", "output_tokens"))
        found = [
            _answer(answers[f"q{number}"], diagnostics.get(f"q{number}") or {}, decision)
            for number, decision in enumerate(decisions)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HttpFailure(f"the decision endpoint sent a reply that cannot be read ({error!r})") from error
    return [replace(found[0], usage=Usage(1, read, 0, written)), *found[1:]]


def _answer(row: Mapping[str, Any], diagnostics: Mapping[str, Any], decision: Decision) -> LabelAnswer:
    weights = {label: float(row["probabilities"][label]) for label in decision.labels}
    total = math.fsum(weights.values())
    if not (0 < total < math.inf and min(weights.values()) >= 0):
        raise ValueError(f"no probabilities: {weights}")
    mass = diagnostics.get("label_mass")
    return LabelAnswer(
        {label: weight / total for label, weight in weights.items()},
        mass=float(mass) if isinstance(mass, int | float) else None,
    )
