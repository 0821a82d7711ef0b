"""Exact probabilities of the next token, from a scoring endpoint: vLLM's or SGLang's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tpo.http import HttpClient, HttpFailure
from tpo.http.model_cards import ModelCard
from tpo.rewards.decisions.tokens import prompt_ids
from tpo.types import Message

_ABSENT = (400, 403, 404, 422, 501)
"""Statuses of a server without the endpoint, or with another one at its path."""


@dataclass(frozen=True, slots=True)
class NextToken:
    """Probability of each label as the next token, and the tokens that were read for them.

    The rest of the probability belongs to other tokens.
    """

    chances: tuple[float, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """Path of an endpoint beside ``/v1``, the labels of each request, and the reader of its reply."""

    path: str
    parts: Callable[[Sequence[int]], list[list[int]]]
    read: Callable[[int, Any], NextToken]


class ScoringEndpoint:
    """Scoring endpoint of the chat server behind *client*, found by the first call and then kept.

    Prompts are sent as token ids, which the server's tokenizer makes with the model's chat template.
    """

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._left = list(_ENDPOINTS)
        self._is_found = False

    @property
    def path(self) -> str | None:
        """Path of the endpoint; None before it is found, and where there is none."""
        return self._left[0].path if self._is_found else None

    async def next_token(
        self,
        card: ModelCard,
        messages: Sequence[Message],
        labels: Sequence[int],
        *,
        template: Mapping[str, Any] | None = None,
        begun: Sequence[int] = (),
    ) -> NextToken | None:
        """Return the probabilities of the tokens *labels* after *messages* and the reply's start *begun*.

        *template* holds arguments of the chat template. The result is None where the server has no such
        endpoint, or does not tokenize messages.

        Raises:
            HttpFailure: the server did not answer, or the prompt exceeds its context.
        """
        if not self._left:
            return None
        prompt = await prompt_ids(self._client, card.name, messages, template)
        if prompt is None:
            if not self._is_found:
                self._left = []
            return None
        prompt = [*prompt, *begun]
        if card.context is not None and len(prompt) >= card.context:  # vLLM would cut its end in silence
            reason = f"a prompt of {len(prompt):,} tokens exceeds the context length {card.context:,}"
            raise HttpFailure(reason, status=400)
        while self._left:
            try:
                found = await self._request(self._left[0], card.name, prompt, labels)
            except HttpFailure as failure:
                absent = failure.status in _ABSENT or isinstance(failure, _OtherReply)
                if self._is_found or not absent:
                    raise
                self._left = self._left[1:]
            else:
                self._is_found = True
                return found
        return None

    async def _request(
        self, endpoint: _Endpoint, model: str, prompt: Sequence[int], labels: Sequence[int]
    ) -> NextToken:
        async def ask(part: Sequence[int]) -> NextToken:
            body = {
                "model": model,
                "query": list(prompt[:-1]),
                "items": [list(prompt[-1:])],
                "label_token_ids": list(part),
                "apply_softmax": False,
            }
            read = partial(endpoint.read, len(part))
            return await self._client.request("POST", endpoint.path, body, read=read, work=_one, root=True)

        first, *others = endpoint.parts(labels)
        answers = [await ask(first)]  # alone: it finds out, and the others share its prefix
        answers += await asyncio.gather(*map(ask, others))
        read = sum(answer.tokens for answer in answers) or len(prompt) * len(answers)
        return NextToken(tuple(chance for answer in answers for chance in answer.chances), read)


class _OtherReply(HttpFailure):
    """Reply of an endpoint that is another one."""


def _read_first(_: int, reply: Any) -> NextToken:
    """Return the probability in vLLM's reply: of the first label alone."""
    return _read(reply, lambda: [reply["data"][0]["score"]])


def _read_every(count: int, reply: Any) -> NextToken:
    """Return the probabilities in SGLang's reply."""
    found = _read(reply, lambda: reply["scores"][0])
    if len(found.chances) != count:
        raise _OtherReply(f"the scoring endpoint sent {len(found.chances)} scores for {count} labels")
    return found


def _read(reply: Any, scores: Callable[[], Sequence[float]]) -> NextToken:
    try:
        chances = tuple(float(score) for score in scores())
        usage = reply.get("usage") or {}
        tokens = int(usage.get("total_tokens") or 0)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _OtherReply(f"the scoring endpoint sent a reply that cannot be read ({error!r})") from error
    if not all(0.0 <= chance <= 1.0 + 1e-6 for chance in chances):
        raise _OtherReply(f"the scoring endpoint sent no probabilities: {chances}")
    return NextToken(chances, tokens)


def _one_by_one(labels: Sequence[int]) -> list[list[int]]:
    return [[label] for label in labels]


def _together(labels: Sequence[int]) -> list[list[int]]:
    return [list(labels)]


def _one(_: object) -> float:
    return 1.0


_ENDPOINTS = (
    _Endpoint("/generative_scoring", _one_by_one, _read_first),
    _Endpoint("/v1/score", _together, _read_every),
)
"""vLLM 0.32 (``entrypoints/generate/generative_scoring``) and SGLang 0.5.23 (``ScoringRequest``)."""
