"""The simple retry loop of a reward function of the user's own, and its probe before a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any, TypeVar

from tpo.errors import RewardError, RewardRefused, TpoError
from tpo.events import Listener
from tpo.http.retry import Clock, RetryPolicy, announce_to
from tpo.rewards.values import finite_score, place
from tpo.types import Messages, Scope, Score

ATTEMPTS = 3
"""Attempts to score a response before it is left without a score."""
DELAYS = RetryPolicy(initial=0.25)
PROBES = ("This is a short answer.", "42", '{"answer": 42}')
"""Responses of which a working function scores at least one."""

T = TypeVar("T")


async def with_retries(
    call: Callable[[], Awaitable[T]], name: str, scope: Scope, listener: Listener | None, clock: Clock
) -> T:
    """Return what *call* gives within :data:`ATTEMPTS`; each further one is announced to *listener*.

    Raises:
        TpoError: at once, what *call* raises of this package's own.
        Exception: what *call* raised last.
    """
    announce = announce_to(listener, scope)
    for failures in count(1):
        try:
            return await call()
        except TpoError:
            raise
        except Exception as error:
            if failures == ATTEMPTS or getattr(error, "fatal", False):
                raise
            delay = DELAYS.delay(failures, None, clock.jitter())
            announce(f"{name} raised {type(error).__name__}: {error}", delay)
            await clock.sleep(delay)
    raise AssertionError  # pragma: no cover - the count never ends


async def score_with_retries(
    call: Callable[[], Awaitable[Any]], name: str, scope: Scope, listener: Listener | None, clock: Clock
) -> Score:
    """Return the score that *call*, which calls the function *name*, gives for the response at *scope*.

    Raises:
        RewardError: it raised in every attempt, or gave no finite number.
        TpoError: what it raised of this package's own.
    """
    try:
        value = await with_retries(call, name, scope, listener, clock)
    except TpoError:
        raise
    except Exception as error:
        raise RewardError(f"{place(scope)}: {name} raised {type(error).__name__}: {error}") from error
    return finite_score(value, name, scope)


async def probe(
    score: Callable[[Messages, str, Scope], Awaitable[Score]], messages: Messages, name: str
) -> None:
    """Find out whether a reward function works at all, before policy tokens are spent on it.

    Raises:
        RewardRefused: it scores none of several responses to *messages*.
    """
    failures: list[Exception] = []
    for index, response in enumerate(PROBES):
        try:
            await score(messages, response, Scope("a probe", 0, "reward", index))
        except RewardError as error:
            if error.fatal:
                raise
            failures.append(error)
        else:
            return
    raise RewardRefused(f"{name} fails before the first policy call: {failures[0]}")


async def probe_all(rewards: Sequence[Any], messages: Messages) -> None:
    """Probe those of *rewards* that can be probed.

    Raises:
        RewardRefused: one does not work.
    """
    for reward in rewards:
        own = getattr(reward, "probe", None)
        if own is not None:
            await own(messages)
