"""Every error that this package raises on purpose.

    TpoError
    ├── ConfigError            an option, a file of options or an environment variable is wrong
    │   └── MissingExtra       an optional library is not installed
    ├── DataError              a data set cannot be read, or a row of it is wrong
    ├── StoreError             a run's directory cannot be used
    │   ├── StoreBusy          another process works in it
    │   └── StoreMismatch      it belongs to another configuration
    ├── PolicyError            the policy model did not answer this call
    │   ├── PromptTooLong      since the prompt exceeds the model's context
    │   └── PolicyRefused      and no call of this run will fare better (wrong key, unknown model)
    └── RewardError            the reward model gave no usable score
        ├── RewardUnavailable  since its server did not answer; a later try may fare better
        └── RewardRefused      and none of this run will

A message says what happened, to which query, file or line, and what to do. Third-party exceptions are
translated once, where they enter. The two refusals end a whole run; their parents end one query.
"""

from __future__ import annotations

from typing import TypeVar

Reworded = TypeVar("Reworded", bound="TpoError")


class TpoError(Exception):
    """The root: catch it to catch all that this package raises on purpose."""

    fatal: bool = False
    """True if every other query would meet the same error."""


class ConfigError(TpoError):
    """An option, a file of options or an environment variable is wrong."""

    fatal = True


class MissingExtra(ConfigError):
    """An optional library is not installed."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {library}: pip install 'tpo[{extra}]'")
        self._given = library, extra, purpose

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str, str]]:
        return MissingExtra, self._given


class DataError(TpoError):
    """A data set cannot be read, or a row of it is wrong."""

    fatal = True


class StoreError(TpoError):
    """A run's directory cannot be used."""

    fatal = True


class StoreBusy(StoreError):
    """Another process works in the run's directory."""


class StoreMismatch(StoreError):
    """The run's directory belongs to another configuration."""


class PolicyError(TpoError):
    """The policy model did not answer this call; other queries may fare better."""


class PromptTooLong(PolicyError):
    """The prompt leaves no room for a reply in the policy model's context."""


class PolicyRefused(PolicyError):
    """The policy model will answer no call of this run: a wrong key, an unknown model."""

    fatal = True


class RewardError(TpoError):
    """The reward model gave no usable score for this response."""


class RewardUnavailable(RewardError):
    """The reward model's server did not answer; the same query may fare better later."""


class RewardRefused(RewardError):
    """The reward model will give no score in this run."""

    fatal = True


class AttemptStopped(BaseException):
    """The end of an attempt on purpose: a stopping rule spoke, or the method is done. No error.

    Like a cancellation it passes through a method's ``except Exception``; the attempt's driver catches it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def reworded(error: Reworded, text: str) -> Reworded:
    """Return an error of the class of *error* that says *text*.

    Or *error* itself, where its class is a user's own and takes other arguments.
    """
    try:
        return type(error)(text)
    except TypeError:
        return error
