"""A plain function as a policy, and ``--policy python:MODULE:FUNCTION``."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

from tpo.errors import ConfigError, PolicyError, TpoError
from tpo.frozen import thaw
from tpo.model_kinds import FunctionSpec
from tpo.policies.base import Policy
from tpo.policies.checked import place_of
from tpo.policies.siblings import as_finished
from tpo.reasoning import split_reasoning
from tpo.registry import ModelOptions
from tpo.types import Completion, Messages, Sampling, Scope, Usage
from tpo.user_functions import awaitable

PolicyFunction = Callable[[list[Any], Sampling], str | Completion | Awaitable[str | Completion]]
"""``f(messages, sampling) -> text``, sync or async: one sample, drawn with ``sampling.seed``.

It may return a :class:`Completion` for usage, a finish reason or reasoning of its own. Messages are dicts
(:class:`tpo.types.Message`); a signature may say ``list[dict[str, Any]]``.
"""


class FunctionPolicy:
    """Calls *function* once a sample, siblings together; see :func:`as_policy`."""

    def __init__(self, function: PolicyFunction) -> None:
        self._function = awaitable(function)
        self._name = getattr(function, "__name__", type(function).__name__)

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield each sample as its call returns."""
        jobs = (self._one(messages, sampling, scope, index) for index in range(sampling.n))
        async for completion in as_finished(jobs):
            yield completion

    async def _one(self, messages: Messages, sampling: Sampling, scope: Scope, index: int) -> Completion:
        place = f"{place_of(scope)}, sample {index}"
        try:
            found = await self._function(thaw(list(messages)), sampling.only(index))
        except TpoError:
            raise
        except Exception as error:
            raise PolicyError(f"{place}: {self._name} raised {type(error).__name__}: {error}") from error
        completion = Completion(index, found) if isinstance(found, str) else found
        if not isinstance(completion, Completion) or not isinstance(completion.text, str):
            wanted = "must return a string or a Completion"
            raise PolicyError(f"{place}: {self._name} {wanted}; it returned {found!r:.200}")
        answer = split_reasoning(completion.text)
        usage = completion.usage if completion.usage.calls else completion.usage + Usage(calls=1)
        reasoning = completion.reasoning or answer.reasoning
        return replace(completion, index=index, text=answer.text, usage=usage, reasoning=reasoning)


def as_policy(policy: Policy | PolicyFunction) -> Policy:
    """*policy* itself if it has a ``sample`` method, else a policy that calls it as a function.

    The function is called as ``f(messages, sampling)``, once a sample, ``sampling`` being that sample's alone
    (``n`` is 1 and ``seed`` its own), and returns the reply's text or a ``Completion``. It may be async. A
    sync function runs in worker threads, several samples at once, so it must bear that. A ``TpoError`` that
    it raises passes as it is (``PolicyRefused`` ends a whole run); any other exception becomes a
    ``PolicyError`` of its query.

    Raises:
        ConfigError: it is neither, or its ``sample`` method is no asynchronous generator.
    """
    if isinstance(policy, type) or not (hasattr(policy, "sample") or callable(policy)):
        raise ConfigError(
            f"policy is {policy!r:.200}; it must be a function f(messages, sampling), "
            "or an object with a sample method"
        )
    if hasattr(policy, "sample"):
        if inspect.iscoroutinefunction(policy.sample) or inspect.isgeneratorfunction(policy.sample):
            raise ConfigError(
                f"policy is {policy!r:.200}; its sample method must be an asynchronous generator: async def, "
                "with a yield for each completion"
            )
        return cast("Policy", policy)
    return FunctionPolicy(policy)


@dataclass(frozen=True)
class Function(FunctionSpec[Policy]):
    """``--policy python:MODULE:FUNCTION``, or an object with a ``sample`` method."""

    noun: ClassVar[str] = "policy"

    def load(self) -> Policy | PolicyFunction:
        """Import the function.

        Raises:
            ConfigError: there is none, its module fails as it is imported, or it is no function.
        """
        found = super().load()
        if isinstance(found, type) or not (hasattr(found, "sample") or callable(found)):
            raise ConfigError(f"policy {self.name}: it is {found!r:.200}, not a function")
        return cast("Policy | PolicyFunction", found)

    def build(self, options: ModelOptions) -> Policy:
        """Wrap the function."""
        del options
        return as_policy(self.load())
