"""A plain function as a reward, and ``--reward python:MODULE:FUNCTION``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from tpo.errors import ConfigError
from tpo.events import Listener
from tpo.frozen import thaw
from tpo.http.retry import READ_TIMEOUT, Clock
from tpo.model_kinds import FunctionSpec
from tpo.registry import ModelOptions
from tpo.rewards.base import Reward
from tpo.rewards.batched import BatchedReward, batched_function
from tpo.rewards.function_retry import probe, score_with_retries
from tpo.rewards.values import RewardValue
from tpo.types import Messages, Scope, Score
from tpo.user_functions import awaitable

RewardFunction = Callable[[list[Any], str], RewardValue | Awaitable[RewardValue]]
"""``f(messages, response) -> number``, sync or async; larger is better."""


class FunctionReward:
    """Calls *function* once a response; see :func:`as_reward`."""

    def __init__(
        self,
        function: RewardFunction,
        *,
        timeout: float = READ_TIMEOUT,
        clock: Clock | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._function = awaitable(function, timeout=timeout)
        self._name = getattr(function, "__name__", type(function).__name__)
        self._clock = clock or Clock()
        self._listener = listener

    async def probe(self, messages: Messages) -> None:
        """Find out whether the function works at all.

        Raises:
            RewardRefused: it does not.
        """
        await probe(self.score, messages, self._name)

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return what the function says of *response*; where it raises, it is called again a few times.

        Raises:
            RewardError: it raised each time, or gave no finite number.
        """

        def call() -> Awaitable[RewardValue]:
            return self._function(thaw(list(messages)), response)

        return await score_with_retries(call, self._name, scope, self._listener, self._clock)


def as_reward(
    reward: Reward | RewardFunction,
    *,
    timeout: float = READ_TIMEOUT,
    clock: Clock | None = None,
    listener: Listener | None = None,
) -> Reward:
    """*reward* itself if it has a ``score`` method, else a reward that calls it as a function.

    The function is called as ``f(messages, response)`` and returns a finite number (numpy and torch scalars
    and bools count) or a ``Score``. It may be async. A sync function runs in worker threads, several
    responses at once, so it must bear that. A ``TpoError`` that it raises passes as it is (``RewardRefused``
    ends a whole run). After any other exception, or *timeout* seconds, it is called again, three times in
    all; then, and after any other value, the response fails with a ``RewardError``, and is kept without a
    score.
    *listener* receives a ``CallRetried`` before each further call, and waits go by *clock*.

    A function marked with :func:`tpo.rewards.batched.batched`, or an object with a ``score_batch`` method, is
    called as ``f(conversations, responses)`` with many at once, and returns as many numbers.

    Raises:
        ConfigError: it is none of these.
    """
    if isinstance(reward, type) or not _can_score(reward):
        raise ConfigError(
            f"reward is {reward!r:.200}; it must be a function f(messages, response), "
            "or an object with a score or score_batch method"
        )
    if hasattr(reward, "score"):
        return cast("Reward", reward)
    batch = batched_function(reward)
    if batch is None:
        return FunctionReward(reward, timeout=timeout, clock=clock, listener=listener)
    return BatchedReward(*batch, timeout=timeout, clock=clock, listener=listener)


def _can_score(thing: object) -> bool:
    return callable(thing) or hasattr(thing, "score") or hasattr(thing, "score_batch")


@dataclass(frozen=True)
class Function(FunctionSpec[Reward]):
    """``--reward python:MODULE:FUNCTION``, or an object with a ``score`` or ``score_batch`` method."""

    noun: ClassVar[str] = "reward"

    def load(self) -> Reward | RewardFunction:
        """Import the function.

        Raises:
            ConfigError: there is none, its module fails as it is imported, or it is no function.
        """
        found = super().load()
        if not _can_score(found):
            raise ConfigError(f"reward {self.name}: it is {found!r:.200}, not a function")
        return cast("Reward | RewardFunction", found)

    def build(self, options: ModelOptions) -> Reward:
        """Wrap the function."""
        return as_reward(self.load(), timeout=options.timeout, listener=options.listener)


def load_function(specification: str) -> Reward | RewardFunction:
    """Import ``module:function``, the working directory being importable; for :func:`as_reward`.

    It may also name an object with a ``score`` or ``score_batch`` method, and dots lead into objects
    (``module:thing.part``).

    Raises:
        ConfigError: no such module or attribute, the module fails as it is imported, or it is no function.
    """
    return Function(f"python:{specification}").load()
