"""One vLLM server of the reward model: what it serves, how it is asked, and its batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from tpo.http import HttpClient, HttpFailure
from tpo.http.model_cards import CardSource, ModelCard
from tpo.per_loop import PerLoop
from tpo.rewards.async_batching import Gatherer
from tpo.rewards.probes import PROBES
from tpo.rewards.vllm.dialect import Dialect, find_dialect
from tpo.rewards.vllm.protocol import Numbers, Reading, inputs_of, read_numbers, read_tokens
from tpo.types import Messages

BATCH_TOKENS = 32_768
"""Most in one request, a batch's number of conversations times its longest."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A raw logit, and the tokens that were read for it."""

    value: float
    tokens: int


class Replica:
    """The classifier behind *client*; *model* is its name there, None taking the only one.

    Conversations in token ids share requests; one that is sent as messages goes alone, since vLLM takes one
    a request. A server that takes no messages is asked for the ids first (``/tokenize``).
    """

    probes: ClassVar[Sequence[tuple[Messages, str]]] = (
        (PROBES[0].messages, PROBES[0].good),
        (PROBES[1].messages, PROBES[1].poor),
    )
    """Conversations and responses with which a dialect is found: two are enough, and cheap."""

    _takes_messages = True

    def __init__(self, client: HttpClient, model: str | None, *, batch_tokens: int = BATCH_TOKENS) -> None:
        self.client = client
        self._cards = CardSource(client, model, "/v1/models")
        self._dialect: Dialect | None = None
        self._learning = PerLoop(asyncio.Lock)
        self._gatherer: Gatherer[Reading, Scored] = Gatherer(
            self._send,
            length=lambda reading: len(reading.ids or ()),
            budget=batch_tokens,
            part=_may_be_parted,
        )

    async def card(self) -> ModelCard:
        """Return the server's model card, requested once.

        Raises:
            HttpFailure: it has no such model, or several where none was named.
        """
        return await self._cards.get()

    async def dialect(self, probes: Sequence[Reading]) -> Dialect:
        """Return the request form for raw logits; the first call finds it with *probes*.

        Raises:
            HttpFailure: it gives none, or does not answer.
        """
        async with self._learning.get():
            if self._dialect is None:
                await self.card()
                self._dialect = await self._find(probes)
            return self._dialect

    async def score(self, reading: Reading, probes: Sequence[Reading]) -> Scored:
        """The raw logit of *reading*.

        Raises:
            HttpFailure: no usable number came.
        """
        try:
            await self.dialect(probes)
            if reading.ids is None and not self._takes_messages:
                reading = await self._tokenized(reading)
            if reading.ids is None:
                return (await self._send([reading]))[0]
            return await self._gatherer.submit(reading)
        except HttpFailure as failure:
            if failure.unreachable or failure.broken:  # what comes up again may be another version
                self._dialect = None
                self._cards.forget()
            raise

    async def _send(self, readings: Sequence[Reading]) -> list[Scored]:
        dialect = self._dialect
        if dialect is None:
            raise HttpFailure(f"the server at {self.client.address} went away", passes=True)
        numbers = await self._ask(dialect.path, readings, dialect.fields())
        counts = [len(reading.ids) if reading.ids is not None else numbers.tokens for reading in readings]
        return [Scored(value, tokens) for value, tokens in zip(numbers.values, counts, strict=True)]

    async def _ask(self, path: str, readings: Sequence[Reading], fields: dict[str, Any]) -> Numbers:
        card = await self.card()
        body = {"model": card.name, **inputs_of(readings), "add_special_tokens": False, **fields}
        count = len(readings)
        return await self.client.request(
            "POST",
            path,
            body,
            read=lambda reply: read_numbers(reply, count),
            work=lambda numbers: len(numbers.values),
        )

    async def _find(self, probes: Sequence[Reading]) -> Dialect:
        try:
            return await find_dialect(self._asker(probes))
        except HttpFailure as failure:
            if failure.status not in (400, 422) or any(probe.ids is not None for probe in probes):
                raise
        # Versions before messages were taken here: the server's own tokenizer makes ids of them.
        found = await find_dialect(self._asker([await self._tokenized(probe) for probe in probes]))
        self._takes_messages = False
        return found

    def _asker(self, probes: Sequence[Reading]) -> Any:
        async def ask(path: str, fields: dict[str, Any]) -> list[float]:
            answers = [await self._ask(path, [probe], fields) for probe in probes]
            return [answer.values[0] for answer in answers]

        return ask

    async def _tokenized(self, reading: Reading) -> Reading:
        body = {
            "model": (await self.card()).name,
            "messages": reading.messages,
            "add_generation_prompt": False,
            "add_special_tokens": False,  # the template writes the start token
        }
        ids = await self.client.request("POST", "/tokenize", body, read=read_tokens)
        return replace(reading, ids=ids)


def _may_be_parted(error: Exception) -> bool:
    """Return whether the server may have refused a single input of a batch."""
    return isinstance(error, HttpFailure) and not (error.passes or error.fatal or error.unreachable)
