"""A reward model behind one or several vLLM pooling servers, its raw logit being the score."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tpo.errors import ConfigError, MissingExtra, RewardError, RewardRefused
from tpo.events import Listener
from tpo.http import Balancer, Clock, HttpFailure, RetryPolicy
from tpo.http.address import root_address
from tpo.http.balancer import close_all
from tpo.http.model_cards import ModelCard
from tpo.http.retry import READ_TIMEOUT, announce_to
from tpo.inprocess.chat import ChatTokenizer
from tpo.inprocess.loading import load_tokenizer
from tpo.per_loop import PerLoop
from tpo.rewards.servers import reward_clients, reward_error
from tpo.rewards.values import place
from tpo.rewards.vllm.protocol import Reading
from tpo.rewards.vllm.replica import BATCH_TOKENS, Replica
from tpo.types import Messages, Scope, Score, assistant

log = logging.getLogger(__name__)


class VLLMReward:
    """A one-label sequence classifier served by ``vllm serve MODEL --runner pooling``.

    Before its first score each server is tried on a few probes, so that its numbers are known to be raw
    logits and not their sigmoids. Conversations go as token ids, the start token exactly once, where the
    model's tokenizer is at hand: *tokenizer*, or else the files that the server names, here or on the hub.
    Without it they go as messages, through the server's own template: more requests, and nothing is
    shortened to fit.

    Args:
        urls: one server or several of the same model; a query stays with one while that one answers.
        model: its name on the servers; None takes the only one that they list.
        tokenizer: a folder or an id of the hub; None tries what the server names, ``"none"`` sends messages.
        api_key: sent as a bearer token, shown nowhere.
        max_length: reads less than the model's whole context, in tokens.
        batch_tokens: most in one request.
        retry: how long failures that pass are retried, over all servers.
        clock: the time that waits go by.
        timeout: read timeout in seconds.
        listener: receives a ``CallRetried`` before every retry.
        trust_remote_code: run code that comes with the tokenizer.

    Raises:
        ConfigError: a URL is none or is given twice, or *max_length* is below 1.
    """

    _replica: ClassVar[type[Replica]] = Replica
    _spare_tokens: ClassVar[int] = 0
    """Tokens of the context that the server keeps free."""

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        model: str | None = None,
        tokenizer: str | Path | None = None,
        api_key: str | None = None,
        max_length: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        timeout: float = READ_TIMEOUT,
        listener: Listener | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        if max_length is not None and max_length < 1:
            raise ConfigError(f"max_length is {max_length}; it must be at least 1")
        clients = reward_clients(urls, api_key, address=root_address, timeout=timeout, clock=clock)
        self._balancer = Balancer(
            [(client.address, self._replica(client, model, batch_tokens=batch_tokens)) for client in clients],
            retry=retry,
            clock=clock,
        )
        self._listener = listener
        self._tokenizer = tokenizer
        self._trust_remote_code = trust_remote_code
        self._max_length = max_length
        self._chat: ChatTokenizer | None = None
        self._context: int | None = None
        self._probes: list[Reading] | None = None
        self._preparing = PerLoop(asyncio.Lock)

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """The raw logit of *response* as the answer to *messages*.

        Raises:
            RewardError: no server gave a usable number for it.
            RewardRefused: none will: a wrong key, another model, numbers that are squashed.
        """
        try:
            probes = await self._prepared()
            reading = self._read(messages, response, scope)
            scored = await self._balancer.ask(
                scope.query,
                lambda replica: replica.score(reading, probes),
                announce_to(self._listener, scope),
            )
        except HttpFailure as failure:
            raise reward_error(failure, scope) from failure
        if not math.isfinite(scored.value):
            raise RewardError(f"{place(scope)}: the server gave {scored.value}, which is no score")
        return Score(scored.value, tokens=scored.tokens, truncated_tokens=reading.cut)

    async def check(self) -> str:
        """Try every server on the probes, and say in one sentence how they will be asked.

        Raises:
            RewardRefused, RewardError: one of them does not answer as it should.
        """
        try:
            probes = await self._prepared()
            dialects = {await replica.dialect(probes) for replica in self._balancer.members.values()}
        except HttpFailure as failure:
            raise reward_error(failure) from failure
        how = "token ids" if self._chat else "messages"
        paths = ", ".join(sorted(map(str, dialects)))
        return f"{len(self._balancer.members)} server(s), raw logits by {paths}, conversations as {how}"

    @property
    def chat(self) -> ChatTokenizer | None:
        """The tokenizer of conversations; None before the first call and where they go as messages."""
        return self._chat

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await close_all([replica.client.aclose for replica in self._balancer.members.values()])

    async def _prepared(self) -> list[Reading]:
        """The probes as they are sent, once it is known how conversations are."""
        async with self._preparing.get():
            if self._probes is None:
                card = await self._balancer.ask("", self._replica.card, is_proof=False)
                self._chat = await asyncio.to_thread(self._load, card)
                context = card.context and max(1, card.context - self._spare_tokens)
                limits = [limit for limit in (context, self._max_length) if limit]
                self._context = min(limits, default=None)
                scope = Scope("a probe", 0, "reward")
                self._probes = [self._read(*pair, scope) for pair in self._replica.probes]
            return self._probes

    def _load(self, card: ModelCard) -> ChatTokenizer | None:
        """The model's tokenizer; None where it is not to be had and nobody insisted."""
        if self._tokenizer == "none":
            return None
        name = str(self._tokenizer or card.root or card.name)
        try:
            trust = self._trust_remote_code
            tokenizer = load_tokenizer(name, RewardRefused, trust_remote_code=trust)
            return ChatTokenizer(tokenizer, name, RewardRefused)
        except (MissingExtra, RewardRefused) as error:
            if self._tokenizer is not None:
                raise
            log.warning(
                "no tokenizer of %s at hand: conversations go as messages, one request each (%s)", name, error
            )
            return None

    def _read(self, messages: Messages, response: str, scope: Scope) -> Reading:
        try:
            reading = Reading.of(messages, response)
            if self._chat is None:
                return reading
            ids = self._chat.conversation_ids((*messages, assistant(response)))
        except Exception as error:
            raise RewardError(f"{place(scope)}: the reward model cannot read it ({error})") from error
        cut = max(0, len(ids) - self._context) if self._context else 0
        return Reading(reading.messages, self._chat.cut_start(ids, cut), cut)
