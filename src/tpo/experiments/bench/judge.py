"""The language model that grades: a policy with a name, asked again when its reply cannot be read."""

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
"""How often a verdict is asked for until it can be read."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict(Generic[T]):
    """What was *read* from the judge's last reply, *text*; None: no reply could be read."""

    read: T | None
    text: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Judge:
    """*policy* as a judge called *name*, the model's name, which stands beside every number that it gave.

    A verdict is greedy at first; when it cannot be read it is asked for again, sampled, :data:`ATTEMPTS`
    times in all. Calls are bounded and tried again beneath, by the policy. What a server had to cut so that
    it fits its context is not judged.
    """

    name: str
    policy: Policy
    max_tokens: int = 2048
    top_p: float = 1.0

    async def ask(self, messages: Messages, read: Callable[[str], T | None], query: str) -> Verdict[T]:
        """The verdict on *messages* that *read* finds in a reply; *query* is the id that errors name.

        Raises:
            PolicyError: the judge did not answer; PolicyRefused where it never will.
        """
        text = ""
        for attempt in range(ATTEMPTS):
            reply = await self._reply(messages, attempt, query)
            if reply.served is not None and reply.served.cut_turn is not None:
                return Verdict(None, "the judge's context could not hold the whole answer", attempt + 1)
            text = reply.text
            # A reply that was cut before any reasoning of it ended may be nothing but reasoning.
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
        raise PolicyError(f"query {query!r}: the judge {self.name} gave no reply")


def _seed(messages: Messages) -> int:
    """Depends on nothing but what is judged, so that verdicts repeat wherever a server's seeds do."""
    digest = hashlib.sha256(repr(messages).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") % (2**31 - ATTEMPTS)
