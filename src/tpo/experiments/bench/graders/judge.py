"""Judge: a named policy that grades; it is asked again if its reply cannot be parsed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tpo.errors import PolicyError
from tpo.policies.base import Policy
from tpo.policies.wrapper import closing
from tpo.types import Completion, Messages, Sampling, Scope

ATTEMPTS = 3
"""Maximum requests for one verdict."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict(Generic[T]):
    """Verdict of a judge: the *value* parsed from its last reply *text*; None: no reply could be parsed."""

    value: T | None
    text: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Judge:
    """A *policy* that judges; *name* is the model's name, shown with every number it gave.

    The first attempt is greedy. If the reply cannot be parsed, further attempts are sampled, up to
    :data:`ATTEMPTS` in total. Concurrency limits and retries are the policy's. An answer that a server had to
    truncate is not judged.
    """

    name: str
    policy: Policy
    max_tokens: int = 2048
    top_p: float = 1.0

    async def ask(self, messages: Messages, read: Callable[[str], T | None], query: str) -> Verdict[T]:
        """Return the verdict on *messages* that *read* parses from a reply; *query* is the id for errors.

        Raises:
            PolicyError: the judge did not answer; PolicyRefused if a retry cannot help.
        """
        text = ""
        for attempt in range(ATTEMPTS):
            reply = await self._reply(messages, attempt, query)
            if reply.served is not None and reply.served.cut_turn is not None:
                return Verdict(None, "the judge's context could not hold the whole answer", attempt + 1)
            text = reply.text
            # A truncated reply without separated reasoning may consist of reasoning only.
            found = None if reply.finish_reason == "length" and not reply.reasoning else read(text)
            if found is not None:
                return Verdict(found, text, attempt + 1)
        return Verdict(None, text, ATTEMPTS)

    async def _reply(self, messages: Messages, attempt: int, query: str) -> Completion:
        temperature = 0.0 if attempt == 0 else 1.0
        sampling = Sampling(1, temperature, self.top_p, self.max_tokens, _seed(messages) + attempt)
        scope = Scope(query, attempt, "sample")
        async with closing(self.policy.sample(messages, sampling, scope)) as replies:
            async for reply in replies:
                return reply
        raise PolicyError(f"query {query!r}: the judge {self.name} returned no reply")


def _seed(messages: Messages) -> int:
    """Return a seed that depends only on the messages, so that verdicts are reproducible."""
    digest = hashlib.sha256(repr(messages).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") % (2**31 - ATTEMPTS)
