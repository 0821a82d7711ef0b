"""Probabilities of a reply's labels from one chat server, in the best way that the server offers.

A label is a word, letter or digit that the prompt asks for as the whole reply. The ways, best first: the
exact log-probability of each label's token (vLLM's ``logprob_token_ids`` in chat, else a scoring endpoint of
vLLM or SGLang), the likeliest tokens, structured output, text. The way is found by the first question and
kept.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tpo.http import HttpClient, HttpFailure
from tpo.http.chat import read_completions, without_system_role
from tpo.http.model_cards import CardSource, ModelCard
from tpo.per_loop import PerLoop
from tpo.reasoning import split_reasoning
from tpo.rewards.decisions.fitting import reply_room
from tpo.rewards.decisions.labels import (
    LabelAnswer,
    LabelQuestion,
    UnreadableReply,
    chances_by_id,
    chances_by_text,
    normalized,
    seed_of,
    stated_label,
)
from tpo.rewards.decisions.request import Shape, json_forms
from tpo.rewards.decisions.scoring import ScoringEndpoint
from tpo.rewards.decisions.tokens import token_ids
from tpo.types import Completion, Usage, assistant

LEAST_MASS = 1e-3
"""Share of labels below which a first token without text is taken for the beginning of reasoning."""
SHOWN = 200
"""Characters of an unreadable reply that its error quotes."""


def _enumerated(labels: Sequence[str]) -> tuple[Mapping[str, Any], ...]:
    """Return the response formats that allow one of *labels* as a JSON string."""
    return json_forms("answer", {"type": "string", "enum": list(labels)})[:2]


# Qwen3 and others take the template argument: the reply then begins with the answer.
_FULL = Shape(forms=_enumerated(()), exact=True, scored=True, template={"enable_thinking": False})


class LabelServer:
    """The chat model behind *client*; *model* is its name there, None taking the only one.

    *votes* replies are counted where the server gives no log-probabilities, the first greedy and the others
    sampled, each of at most *max_tokens* tokens; so is a model that *thinks* before it answers, which its
    first reply tells where it is None.
    """

    def __init__(
        self,
        client: HttpClient,
        model: str | None,
        *,
        votes: int = 5,
        max_tokens: int = 2048,
        thinks: bool | None = None,
    ) -> None:
        self._thinks = thinks
        self.client = client
        self._model = model
        self._votes = votes
        self._max_tokens = max_tokens
        self._learning = PerLoop(asyncio.Lock)
        self.forget()

    def forget(self) -> None:
        """Forget what is known of the server: another one may have come up in its place."""
        self._cards = CardSource(self.client, self._model)
        self._shape = _FULL.reasoning() if self._thinks else _FULL
        self._scoring = ScoringEndpoint(self.client)
        self._has_learned = False
        self._token_ids: dict[str, int | None] = {}

    def reply_tokens(self, context: int | None) -> int:
        """Return the tokens of a reply: one for a label, more where whole replies are counted."""
        return 1 if self._shape.alternatives else reply_room(self._max_tokens, context)

    @property
    def way(self) -> str:
        """The way in which the server is asked, in a few words."""
        if not self._shape.alternatives:
            return "structured output" if self._shape.forms else "text"
        if self._shape.exact:
            return "exact label probabilities"
        if self._shape.scored:
            return f"exact label probabilities from {self._scoring.path}"
        return f"the {self._shape.alternatives} likeliest tokens"

    async def card(self) -> ModelCard:
        """Return the server's model card, requested once.

        Raises:
            HttpFailure: it has no such model, or several where none was named.
        """
        return await self._cards.get()

    async def ask(self, question: LabelQuestion) -> LabelAnswer:
        """Return the probabilities of the labels.

        Raises:
            HttpFailure: the server did not answer.
            UnreadableReply: no reply held a label.
        """
        try:
            if self._has_learned:
                return await self._answer(question)
            async with self._learning.get():  # many questions arrive at once: the first one finds the way
                answer = await self._answer(question)
                self._has_learned = True
                return answer
        except HttpFailure as failure:
            if failure.unreachable or failure.broken:
                self.forget()
            raise

    async def _answer(self, question: LabelQuestion) -> LabelAnswer:
        """Ask in the server's way; in the next where it fails, for good while the server is unknown."""
        shape = self._shape
        while True:
            try:
                answer = await (self._weigh if shape.alternatives else self._count)(question, shape)
            except HttpFailure as failure:
                smaller = shape.without(failure, self.client.address)
                if smaller is None:
                    raise
                shape = self._shape = smaller
            else:
                if answer is not None:
                    return answer
                shape = shape.less_exact()
                if not self._has_learned:
                    self._shape = shape

    async def _weigh(self, question: LabelQuestion, shape: Shape) -> LabelAnswer | None:
        """Return the probabilities of the first token; None where the server does not tell them."""
        ids = None
        if shape.exact or shape.scored:
            ids = await self._ids(question.labels)
            if ids is None:
                return None
            if not shape.exact:
                return await self._score(question, ids, shape)
        shape = replace(shape, forms=())
        reply = await self._send(question, shape, tokens=1, token_ids=list((ids or {}).values()))
        alternatives = reply.alternatives[0] if reply.alternatives else {}
        known = (
            chances_by_text(alternatives, question.labels)
            if ids is None
            else chances_by_id(alternatives, ids)
        )
        if known is None:
            return None
        answer = normalized(known, reply.usage)
        # A first token without text is a mark: such a model thinks before it answers.
        thinks = not reply.text.strip() and (answer.mass or 0.0) < LEAST_MASS
        unknown = self._thinks is None and not self._has_learned
        return None if thinks and unknown else answer

    async def _score(
        self, question: LabelQuestion, ids: Mapping[str, int], shape: Shape
    ) -> LabelAnswer | None:
        """Return the probabilities by a scoring endpoint; None where the server has none."""
        messages = question.messages if shape.system else without_system_role(question.messages)
        found = await self._scoring.next_token(
            await self.card(), messages, list(ids.values()), template=shape.template
        )
        mass = math.fsum(found.chances) if found is not None else 0.0
        unknown = self._thinks is None and not self._has_learned
        if found is None or mass <= 0 or (mass < LEAST_MASS and unknown):  # the next way sees the reply
            return None
        shares = {label: chance / mass for label, chance in zip(ids, found.chances, strict=True)}
        return LabelAnswer(shares, Usage(1, prompt_tokens=found.tokens), min(1.0, mass))

    async def _count(self, question: LabelQuestion, shape: Shape) -> LabelAnswer:
        """Return each label's share of the votes that can be read."""
        forms = _enumerated(question.labels)[len(_FULL.forms) - len(shape.forms) :]
        shape = replace(shape, forms=forms, template=None)
        send = partial(self._vote, question, shape)
        alone = 0 if self._has_learned else 1  # an unknown server may refuse: then once, not once a vote
        replies = [await send(vote) for vote in range(alone)]
        replies += await asyncio.gather(*map(send, range(alone, self._votes)))
        said = [stated_label(reply.text, question.labels) for reply in replies]
        votes = Counter(label for label in said if label is not None)
        if 2 * votes.total() <= len(replies):
            unread = next(r.text for r, label in zip(replies, said, strict=True) if label is None)
            raise UnreadableReply(
                f"{len(replies) - votes.total()} of {len(replies)} replies are none of"
                f" {', '.join(question.labels)}; one begins {unread[:SHOWN]!r}"
            )
        shares = {label: votes[label] / votes.total() for label in question.labels}
        return LabelAnswer(shares, sum((reply.usage for reply in replies), Usage()))

    async def _vote(self, question: LabelQuestion, shape: Shape, vote: int) -> Completion:
        """Return a whole reply: that to the second turn if there is one, at the cost of both."""
        tokens = reply_room(self._max_tokens, (await self.card()).context)
        reply = await self._send(question, shape, tokens=tokens, vote=vote)
        if question.second_turn is None:
            return reply
        said = assistant(split_reasoning(reply.text).text)
        question = replace(question, messages=(*question.messages, said, question.second_turn))
        verdict = await self._send(question, shape, tokens=tokens, vote=vote)
        return replace(verdict, usage=reply.usage + verdict.usage)

    async def _send(
        self,
        question: LabelQuestion,
        shape: Shape,
        *,
        tokens: int,
        token_ids: Sequence[int] = (),
        vote: int = 0,
    ) -> Completion:
        body = shape.body(
            (await self.card()).name,
            question.messages,
            tokens=tokens,
            temperature=1.0 if vote else 0.0,
            seed=seed_of(question.messages, vote),
            token_ids=token_ids,
        )
        if token_ids:
            body["return_tokens_as_token_ids"] = True
        return await self.client.request("POST", "/chat/completions", body, read=_read_choice, work=_one)

    async def _ids(self, labels: Sequence[str]) -> dict[str, int] | None:
        """Return the id of the single token that spells each label; None where one has no such token."""
        for label in labels:
            if label not in self._token_ids:
                found = await token_ids(self.client, (await self.card()).name, (label, f" {label}"))
                if found is None:
                    return None
                self._token_ids[label] = next((one for one in found if one is not None), None)
        ids = {label: token for label in labels if (token := self._token_ids[label]) is not None}
        return ids if len(set(ids.values())) == len(labels) else None


def _one(_: object) -> float:
    return 1.0


def _read_choice(reply: Any) -> Completion:
    return read_completions(reply, 1)[0]
