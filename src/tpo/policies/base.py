"""Policy protocol: one method. Retry, limits, journal and metrics wrap it in the same shape."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol, runtime_checkable

from tpo.types import Completion, Delta, Messages, Sampling, Scope


class Policy(Protocol):
    """A language model that answers a conversation.

    ``sample`` yields each of the ``sampling.n`` completions as soon as it is finished, in any order, each
    with its index; sample *i* draws with the seed ``sampling.seed + i`` and does not depend on its siblings.
    *scope* says where in a run the call belongs, for those that keep, route or rank calls; a model has no
    need of it.

    Raises:
        PolicyError: this call got no answer.
        PolicyRefused: no call will.
    """

    def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield ``sampling.n`` completions of *messages*."""
        ...


@runtime_checkable
class StreamingPolicy(Policy, Protocol):
    """A policy that also yields the text of its completions while it is being written."""

    def stream(
        self, messages: Messages, sampling: Sampling, scope: Scope
    ) -> AsyncIterator[Completion | Delta]:
        """Yield the completions as ``sample`` does, each after the pieces of its text."""
        ...


def stream_or_sample(
    policy: Policy,
) -> Callable[[Messages, Sampling, Scope], AsyncIterator[Completion | Delta]]:
    """Return ``policy.stream`` if there is one, else ``policy.sample``."""
    return policy.stream if isinstance(policy, StreamingPolicy) else policy.sample
