"""``--policy URL``: a model behind one OpenAI-compatible server or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import urlsplit

from tpo.http.retry import RetryPolicy
from tpo.policies.base import Policy
from tpo.registry import ModelOptions, ModelSpec, refuse_secrets

if TYPE_CHECKING:
    from tpo.policies.openai import OpenAIPolicy


@dataclass(frozen=True)
class Server(ModelSpec[Policy]):
    """A base URL; *others* are further servers of the same model."""

    others: tuple[str, ...] = ()

    usage: ClassVar[str] = "http://HOST:PORT/v1"
    summary: ClassVar[str] = "an OpenAI-compatible server"
    takes: ClassVar[frozenset[str]] = frozenset({"model", "extra"})

    @property
    def urls(self) -> tuple[str, ...]:
        """All of the servers' base URLs."""
        return (self.name, *self.others)

    def check(self, option: str) -> None:
        """Refuse a URL that holds a secret."""
        refuse_secrets(option, self.name, "TPO_API_KEY")

    def identity(self, options: ModelOptions) -> str:
        """A server may move, its model may not."""
        return options.model or self.name

    def short_name(self, options: ModelOptions) -> str:
        """Return the model's name without its organization, or the server's address."""
        return (options.model or urlsplit(self.name).netloc).rpartition("/")[2]

    def join(self, others: Sequence[Self]) -> Self:
        """Return the spec of one model on all of these servers."""
        return replace(self, others=tuple(other.name for other in others))

    def build(self, options: ModelOptions) -> Policy:
        """Make the client."""
        return self._client(options)

    async def find_model(self, options: ModelOptions) -> str | None:
        """Return the model's name; without one in *options*, the only one that the server lists."""
        if options.model is not None:
            return options.model
        client = self._client(options)
        try:
            await client.check()
        finally:
            await client.aclose()
        return client.model

    def _client(self, options: ModelOptions) -> OpenAIPolicy:
        from tpo.policies.openai import OpenAIPolicy

        return OpenAIPolicy(
            self.urls,
            options.model,
            options.api_key,
            extra=options.extra,
            timeout=options.timeout,
            retry=RetryPolicy(timeout=options.retry_timeout),
            listener=options.listener,
            sampling=options.sampling,
            most=options.concurrency,
        )
