"""A language model that grades responses by a rubric, behind any OpenAI-compatible server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from tpo.errors import ConfigError, RewardError
from tpo.events import Listener
from tpo.http import Balancer, Clock, HttpClient, HttpFailure, RetryPolicy
from tpo.http.balancer import close_all
from tpo.http.chat import without_system_role
from tpo.http.model_cards import CardSource
from tpo.http.retry import READ_TIMEOUT, announce_to
from tpo.http.tokens import ServerTokenizer
from tpo.per_loop import PerLoop
from tpo.rewards.decisions.fitting import SPARE_TOKENS, CutWarning, least, needed_cut, reply_room
from tpo.rewards.decisions.labels import seed_of
from tpo.rewards.decisions.request import Shape, json_forms
from tpo.rewards.decisions.tokens import token_ids
from tpo.rewards.judge.profiles import profile_of, thinks
from tpo.rewards.judge.scale import ScaleScorer
from tpo.rewards.judge.verdict import JudgeReply, expected_score, read_reply
from tpo.rewards.judge.wording import (
    DEFAULT_RUBRIC,
    HIGHEST,
    LOWEST,
    SCHEMA,
    conversation_json,
    judge_messages,
)
from tpo.rewards.servers import reward_clients, reward_error
from tpo.rewards.values import place
from tpo.types import Message, Messages, Scope, Score

ATTEMPTS = 3
"""Attempts to get a readable vote."""
SHOWN = 200
"""Characters of an unreadable reply that its error quotes."""


class JudgeReward:
    """The grade, from 1 to 9, that the model *model* gives a response by *rubric*.

    Where the server gives log-probabilities, a grade is the mean of the scale under the judge's own
    probabilities at the digit that it wrote (Liu et al. 2023, arXiv 2303.16634, section 2): one greedy
    request, and few ties. vLLM gives the exact probability of every digit; so does SGLang, by its scoring
    endpoint and without a generated reply; others give those among the likeliest tokens. Elsewhere it is the
    mean of *votes* grades, the first greedy, the others sampled; so it is for a model that is known to reason
    first (:mod:`tpo.rewards.judge.profiles`). A reply without a readable grade is asked for again, three
    times in all, and each time announced; then its vote is lost. A response fails with the reply's beginning
    if no more than half of the votes are left; it never gets a made-up grade.

    Args:
        urls: one server or several of the same model; a query stays with one while that one answers.
        model: its name; None takes the only one that the server lists.
        rubric: the criteria, in plain words.
        api_key: sent as a bearer token, shown nowhere.
        votes: how many, where there are no log-probabilities.
        max_tokens: of a reply; models that think before they answer need thousands.
        concurrency: maximum of requests in flight to each server; an adaptive limit stays below it.
        retry: how long failures that pass are retried, over all servers.
        clock: the time that waits go by.
        timeout: read timeout in seconds.
        listener: receives a ``CallRetried`` before every retry, of replies that cannot be read as well.

    Raises:
        ConfigError: a URL is none or is given twice, or a number is below 1.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        model: str | None = None,
        rubric: str = DEFAULT_RUBRIC,
        api_key: str | None = None,
        votes: int = 5,
        max_tokens: int = 2048,
        concurrency: int = 64,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        timeout: float = READ_TIMEOUT,
        listener: Listener | None = None,
    ) -> None:
        if min(votes, max_tokens, concurrency) < 1:
            raise ConfigError("judge: votes, max_tokens and concurrency must be at least 1")
        clients = reward_clients(urls, api_key, most=concurrency, timeout=timeout, clock=clock)
        self._balancer = Balancer([(client.address, client) for client in clients], retry=retry, clock=clock)
        self._listener = listener
        self.model = model
        self.rubric = rubric
        self._votes = votes
        self._max_tokens = max_tokens
        self._shape = Shape(json_forms("grade", SCHEMA), exact=True)
        self._digits: dict[str, list[int]] = {}
        self._scales: dict[str, ScaleScorer | None] = {}
        self._cards = {client.address: CardSource(client, model, is_needed=False) for client in clients}
        self._tokenizers = {client.address: ServerTokenizer(client) for client in clients}
        self._naming = PerLoop(asyncio.Lock)
        self._warning = CutWarning("judge")

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """The grade of *response* as the answer to *messages*.

        Raises:
            RewardError: no reply could be read; RewardUnavailable: no server answered.
            RewardRefused: none will answer: a wrong key, an unknown model.
        """
        try:
            length = len(conversation_json(messages))
            fit = partial(self._fit, partial(judge_messages, self.rubric, messages, response), length)
            asked, lost, context = await self._balancer.ask(
                scope.query, fit, announce_to(self._listener, scope)
            )
            score = await self._grade(asked, scope)
        except ValueError as error:
            raise RewardError(f"{place(scope)}: the judge cannot read it ({error})") from error
        except HttpFailure as failure:
            raise reward_error(failure, scope, "judge") from failure
        self._warning.tell(lost, context, place(scope))
        return replace(score, truncated_tokens=lost)

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await close_all([client.aclose for client in self._balancer.members.values()])

    async def _fit(
        self, build: Callable[..., list[Message]], length: int, client: HttpClient
    ) -> tuple[list[Message], int, int | None]:
        """Return the prompt, the tokens that it lost to fit into the context, and the context."""
        card = await self._cards[client.address].get()
        profile = profile_of(card.name)
        context = least(card.context, None if profile is None else profile.context)
        build = partial(build, thinks=thinks(card.name))
        cut = lost = 0
        if context is not None:
            tokenizer = self._tokenizers[client.address]

            async def count(prompt: Sequence[Message]) -> int:
                return await tokenizer.count_or_estimate(card.name, tuple(prompt))

            room = context - reply_room(self._max_tokens, context) - SPARE_TOKENS
            cut, lost = await needed_cut(build, length, room, count)
        return build(cut), lost, context

    async def _grade(self, asked: list[Message], scope: Scope) -> Score:
        results: list[_Vote | BaseException] = []
        try:
            first = await self._vote(asked, scope, 0)
            expected = expected_score(first.reply)
            if expected is not None:
                return Score(expected, tokens=first.tokens)
            # It was greedy; without its probabilities it is no more than one vote of those that follow.
            results.append(first)
        except _Unreadable as error:
            results.append(error)
        results += await asyncio.gather(
            *(self._vote(asked, scope, vote) for vote in range(1, self._votes)), return_exceptions=True
        )
        votes = [vote for vote in map(_readable, results) if vote is not None]
        if 2 * len(votes) <= self._votes:
            unreadable = next(result for result in results if isinstance(result, _Unreadable))
            lost = self._votes - len(votes)
            raise RewardError(f"{unreadable} ({lost} of {self._votes} votes could not be read)")
        return Score(fmean(vote.stated for vote in votes), tokens=sum(vote.tokens for vote in votes))

    async def _vote(self, asked: list[Message], scope: Scope, vote: int) -> _Vote:
        """A readable reply; vote 0 is greedy at first, the others and all second tries are sampled."""
        announce = announce_to(self._listener, scope)
        tokens = 0
        reply = JudgeReply("", (), 0)
        for attempt in range(ATTEMPTS):
            temperature = 0.0 if vote == attempt == 0 else 1.0
            seed = seed_of(asked, vote * ATTEMPTS + attempt)
            ask = partial(self._ask, asked=asked, temperature=temperature, seed=seed)
            reply = await self._balancer.ask(scope.query, ask, announce)
            tokens += reply.cost
            stated = reply.stated
            if stated is not None:
                return _Vote(reply, stated, tokens)
            if attempt + 1 < ATTEMPTS:
                announce(f"the judge gave no grade: {reply.text[:SHOWN]!r}", 0.0)
        raise _Unreadable(
            f"{place(scope)}: the judge gave no grade from {LOWEST} to {HIGHEST} in {ATTEMPTS} replies;"
            f" the last begins {reply.text[:SHOWN]!r}"
        )

    async def _ask(
        self, client: HttpClient, asked: list[Message], temperature: float, seed: int
    ) -> JudgeReply:
        """Return one reply; what the server refuses to be asked for is left out, in later requests too."""
        card = await self._cards[client.address].get()
        reasons = thinks(card.name)
        if temperature == 0 and not reasons and (scored := await self._scored(client, asked)) is not None:
            return scored
        shape = self._shape.reasoning() if reasons else self._shape
        tokens = reply_room(self._max_tokens, card.context)
        while True:
            ids = await self._token_ids(client, card.name) if shape.exact and temperature == 0 else []
            body = shape.body(
                card.name, asked, tokens=tokens, temperature=temperature, seed=seed, token_ids=ids
            )
            try:
                reply = await client.request("POST", "/chat/completions", body, read=read_reply, work=_tokens)
            except HttpFailure as failure:
                smaller = shape.without(failure, client.address)
                if smaller is None:
                    raise
                shape = smaller
                continue
            if not ids or reply.has_alternatives:
                self._shape = shape
                return reply.last if reasons else reply
            # The field is unknown there and was ignored.
            at_once = reply.stated is not None and not reply.reasons
            if at_once and (scored := await self._scored(client, asked, tries=True)) is not None:
                return scored
            shape = self._shape = shape.less_exact()

    async def _scored(
        self, client: HttpClient, asked: list[Message], *, tries: bool = False
    ) -> JudgeReply | None:
        """Return the grade by the server's scoring endpoint; None without one. *tries* looks for it."""
        card = await self._cards[client.address].get()
        turns = tuple(asked) if self._shape.system else without_system_role(tuple(asked))
        if tries:
            async with self._naming.get():
                if client.address not in self._scales:
                    scale = ScaleScorer(client)
                    found = await scale.reply(card, turns)
                    self._scales[client.address] = None if found is None else scale
        known = self._scales.get(client.address)
        return None if known is None else await known.reply(card, turns)

    async def _token_ids(self, client: HttpClient, model: str) -> list[int]:
        """Return the tokens of the scale's digits; none where the server has no tokenizer to ask."""
        async with self._naming.get():
            if client.address not in self._digits:
                found = await token_ids(client, model, [str(digit) for digit in range(LOWEST, HIGHEST + 1)])
                self._digits[client.address] = (
                    [] if found is None or None in found else list(filter(None, found))
                )
            return self._digits[client.address]


@dataclass(frozen=True, slots=True)
class _Vote:
    """A readable reply, the grade that it states, and the tokens of all that were asked for it."""

    reply: JudgeReply
    stated: float
    tokens: int


class _Unreadable(RewardError):
    """A vote whose replies all held no grade."""


def _readable(result: _Vote | BaseException) -> _Vote | None:
    """A vote, or None of one that could not be read; anything else that went wrong is raised."""
    if isinstance(result, _Unreadable):
        return None
    if isinstance(result, BaseException):
        raise result
    return result


def _tokens(reply: JudgeReply) -> float:
    return float(reply.cost or 1)
