"""The models of a run: loaded by name or brought by the caller, checked, and closed at the end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

from tpo.config import Settings, check_of, policy_of, policy_spec, resolve, reward_of
from tpo.config.specs import require_held_out
from tpo.errors import PolicyRefused
from tpo.events import Event, Listener
from tpo.policies.base import Policy
from tpo.policies.function import as_policy
from tpo.rewards.base import Reward
from tpo.rewards.checked import CheckedReward
from tpo.rewards.function import as_reward


class Relay:
    """A listener that forwards each event to the listeners that are subscribed at that moment."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []

    def __call__(self, event: Event) -> None:
        """Forward *event*, in the order of subscription."""
        for listener in self.listeners:
            listener(event)

    @contextmanager
    def forwarding(self, *listeners: Listener) -> Iterator[None]:
        """Forward to *listeners* as well while the block lasts."""
        self.listeners += listeners
        try:
            yield
        finally:
            for listener in listeners:
                del self.listeners[next(i for i, each in enumerate(self.listeners) if each is listener)]


@dataclass(frozen=True, slots=True)
class Models:
    """A policy and a reward; *events* is the listener that they announce retries to.

    Models that the caller brought (*borrowed*) are not closed by :meth:`ready`.
    """

    policy: Policy
    reward: Reward
    events: Relay = field(default_factory=Relay)
    borrowed: tuple[object, ...] = ()
    check: Reward | None = None
    """A reward that guides nothing."""
    are_called: bool = True
    """False for stand-ins of a complete run."""

    @property
    def scorer(self) -> Reward:
        """The reward, whose scores hold the check reward's too if there is one."""
        return self.reward if self.check is None else CheckedReward(self.reward, self.check)

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        """Check that the policy answers; close the models at the end of the block.

        Raises:
            PolicyError: it does not answer.
        """
        owned = [
            model
            for model in (self.reward, self.check, self.policy)
            if not any(model is other for other in self.borrowed)
        ]
        async with ready(self.policy, owned):
            yield


def load_models(settings: Settings, events: Relay) -> Models:
    """Load the models that *settings* name. Blocks while weights load: call it outside an event loop.

    Raises:
        ConfigError: the check reward also guides.
        MissingExtra: an in-process model is named, and its libraries are not installed.
        PolicyRefused, RewardRefused: a model cannot be loaded.
    """
    require_held_out(settings.check_reward, (*settings.reward, *settings.gate))
    reward, check = reward_of(settings, os.environ, events), check_of(settings, os.environ, events)
    return Models(policy_of(settings, os.environ, events), reward, events, check=check)


def no_models() -> Models:
    """Return stand-ins for the models of a complete run, which makes no calls."""
    return Models(as_policy(_refuse), as_reward(_refuse), are_called=False)


async def resolve_models(settings: Settings) -> None:
    """Check, without loading weights, that the models that *settings* name exist.

    Raises:
        PolicyError, ConfigError: a folder, a function or a server's model is missing.
    """
    resolve(settings)
    if policy_spec(settings.policy).urls:
        policy = policy_of(settings, os.environ)
        async with ready(policy, [policy]):
            pass


@asynccontextmanager
async def ready(policy: Policy, owned: Sequence[object]) -> AsyncIterator[None]:
    """Check that *policy* answers; close each of *owned* that can be closed at the end of the block.

    Raises:
        PolicyError: it does not answer.
    """
    async with AsyncExitStack() as stack:
        for model in owned:
            close = getattr(model, "aclose", None)
            if close is not None:
                stack.push_async_callback(close)
        check = getattr(policy, "check", None)
        if check is not None:
            await check()
        yield


def _refuse(*_: object) -> NoReturn:
    raise PolicyRefused("a run that was taken for complete made a call; please report this")
