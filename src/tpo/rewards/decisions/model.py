"""A language model on one server or several that answers questions with a fixed set of answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from tpo.errors import ConfigError, RewardError
from tpo.events import Listener
from tpo.http import Balancer, Clock, HttpFailure, RetryPolicy
from tpo.http.balancer import close_all
from tpo.http.retry import READ_TIMEOUT, announce_to
from tpo.registry import REWARD_KEY_VARIABLE
from tpo.rewards.decisions.endpoint import DecisionServer
from tpo.rewards.decisions.labels import LabelAnswer, LabelQuestion, UnreadableReply
from tpo.rewards.servers import reward_clients, reward_error
from tpo.rewards.values import place
from tpo.types import Scope

T = TypeVar("T")


class DecisionModel:
    """Asks each query's questions of one server for as long as that one answers.

    Args:
        urls: one server or several of the same model.
        model: its name; None takes the only one that a server lists.
        api_key: sent as a bearer token, shown nowhere.
        votes: replies counted for a question where there are no log-probabilities.
        max_tokens: of such a reply; models that think before they answer need thousands.
        thinks: whether the model reasons first, so that its first token is no answer; None finds out.
        concurrency: maximum of requests in flight to each server; an adaptive limit stays below it.
        retry: how long failures that pass are retried, over all servers.
        clock: the time that waits go by.
        timeout: read timeout in seconds.
        listener: receives a ``CallRetried`` before every retry.
        noun: name of the model's task in errors.
        key_variable: environment variable that holds the key, for errors.

    Raises:
        ConfigError: a URL is none or is given twice, or a number is below 1.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        model: str | None = None,
        api_key: str | None = None,
        votes: int = 5,
        max_tokens: int = 2048,
        thinks: bool | None = None,
        concurrency: int = 64,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        timeout: float = READ_TIMEOUT,
        listener: Listener | None = None,
        noun: str = "reward",
        key_variable: str = REWARD_KEY_VARIABLE,
    ) -> None:
        if min(votes, max_tokens, concurrency) < 1:
            raise ConfigError("votes, max_tokens and concurrency must be at least 1")
        clients = reward_clients(
            urls, api_key, key_variable=key_variable, most=concurrency, timeout=timeout, clock=clock
        )
        asking: dict[str, Any] = {"votes": votes, "max_tokens": max_tokens, "thinks": thinks}
        members = [(client.address, DecisionServer(client, model, **asking)) for client in clients]
        self.servers: Balancer[DecisionServer] = Balancer(members, retry=retry, clock=clock)
        self._listener = listener
        self._noun = noun
        self.identity = model or ",".join(client.address for client in clients)
        """The model's name, or its servers where none was given."""

    async def check(self) -> str:
        """Check that a server answers, and serves the model; return the model's name there.

        Raises:
            RewardError: none does.
        """
        try:
            return (await self.servers.ask("", DecisionServer.card, is_proof=False)).name
        except HttpFailure as failure:
            raise reward_error(failure, None, self._noun) from failure

    async def label(self, question: LabelQuestion, scope: Scope) -> LabelAnswer:
        """Return the probability of each label of *question*.

        Raises:
            RewardError: no reply held a label; RewardUnavailable: no server answered.
            RewardRefused: none will answer: a wrong key, an unknown model.
        """
        return await self.ask(lambda server: server.ask(question), scope)

    async def ask(self, attempt: Callable[[DecisionServer], Awaitable[T]], scope: Scope) -> T:
        """Return what *attempt* gives for the server of the scope's query.

        Raises:
            RewardError, RewardUnavailable, RewardRefused: as :meth:`label`.
        """
        try:
            return await self.servers.ask(scope.query, attempt, announce_to(self._listener, scope))
        except UnreadableReply as error:
            raise RewardError(f"{place(scope)}: {error}") from error
        except HttpFailure as failure:
            raise reward_error(failure, scope, self._noun) from failure

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await close_all([server.client.aclose for server in self.servers.members.values()])
