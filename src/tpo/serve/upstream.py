"""Upstream: passes requests on to the policy's servers unchanged, chunk by chunk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tpo.http import Balancer, HttpClient, RetryPolicy
from tpo.http.balancer import close_all
from tpo.http.failures import StreamedReply
from tpo.serve.request import conversation_key

RETRY = RetryPolicy(timeout=5.0)
"""A request that is passed on is retried briefly: its client has a retry of its own."""


class Upstream:
    """The servers at *urls*, which know the policy as *model*; *extra* fields are added to each request.

    A None in *extra* leaves its field out.
    """

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        api_key: str | None,
        *,
        timeout: float,
        extra: Mapping[str, Any] | None = None,
        retry: RetryPolicy = RETRY,
    ) -> None:
        clients = [HttpClient(url, api_key, timeout=timeout) for url in urls]
        self._model = model
        self._extra = dict(extra or {})
        self._balancer = Balancer([(client.address, client) for client in clients], retry=retry)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The servers' base URLs."""
        return tuple(self._balancer.members)

    @asynccontextmanager
    async def complete(self, body: Mapping[str, Any]) -> AsyncIterator[StreamedReply]:
        """Send *body* under the model's own name and yield the reply; a conversation stays with one server.

        Raises:
            HttpFailure: no server answers.
        """
        left_out = {"tpo", *(field for field, value in self._extra.items() if value is None)}
        fields = {**body, "model": self._model, **self._extra}
        sent = {field: value for field, value in fields.items() if field not in left_out}
        key = conversation_key(body.get("messages"))
        async with AsyncExitStack() as stack:
            yield await self._balancer.ask(
                key,
                lambda client: stack.enter_async_context(client.stream("/chat/completions", sent)),
                spreads=True,
            )

    async def aclose(self) -> None:
        """Close the connections."""
        await close_all([client.aclose for client in self._balancer.members.values()])
