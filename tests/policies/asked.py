"""What an OpenAI-compatible policy does against scripted answers on the loopback."""

from typing import Any

from tests.http.loopback import Answer, Loopback, VirtualTime
from tpo.events import Event
from tpo.policies import OpenAIPolicy
from tpo.types import Completion, Delta, Sampling, Scope, user

SCOPE = Scope("q7", 1, "update")


async def drawn(policy: OpenAIPolicy, n: int = 1, **sampling: Any) -> list[Completion]:
    values = Sampling(n=n, seed=100, **sampling)
    completions = [c async for c in policy.sample((user("hi"),), values, SCOPE)]
    return sorted(completions, key=lambda c: c.index)


class Served:
    """What a policy does against *answers*."""

    def __init__(self, *answers: Answer, models: Answer | None = None) -> None:
        self.loopback = Loopback(*answers, models=models)
        self.time = VirtualTime()
        self.events: list[Event] = []

    async def draw(self, n: int = 1, calls: int = 1, model: str | None = "m", **sampling: Any) -> Any:
        async with self.loopback.up() as url:
            policy = self._policy(url, model)
            try:
                return [await drawn(policy, n, **sampling) for _ in range(calls)][-1]
            finally:
                await policy.aclose()

    async def stream(self, n: int = 1, **sampling: Any) -> list[Completion | Delta]:
        async with self.loopback.up() as url:
            policy = self._policy(url, "m")
            try:
                values = Sampling(n=n, seed=100, **sampling)
                return [piece async for piece in policy.stream((user("hi"),), values, SCOPE)]
            finally:
                await policy.aclose()

    async def check(self, model: str | None = "m") -> None:
        async with self.loopback.up() as url:
            policy = self._policy(url, model)
            try:
                await policy.check()
            finally:
                await policy.aclose()

    def _policy(self, url: str, model: str | None) -> OpenAIPolicy:
        return OpenAIPolicy(url, model, "sk-hidden", listener=self.events.append, clock=self.time.clock)

    @property
    def seeds(self) -> list[tuple[int, int]]:
        """What each request asked for: n and seed."""
        return [(body.get("n", 1), body["seed"]) for body in self.loopback.bodies]


def error(status: int, message: str, **headers: str) -> Answer:
    return Answer({"error": {"message": message}}, status, headers)
