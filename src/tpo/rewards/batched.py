"""A user's function that scores many responses at once.

@batched(size=64)
def score(conversations, responses):
    return model.predict(list(zip(conversations, responses)))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from tpo.errors import ConfigError, RewardError
from tpo.events import Listener
from tpo.frozen import thaw
from tpo.http.retry import READ_TIMEOUT, Clock
from tpo.rewards.async_batching import Gatherer
from tpo.rewards.function_retry import probe, score_with_retries
from tpo.rewards.values import RewardValue, place
from tpo.types import Message, Messages, Scope, Score
from tpo.user_functions import awaitable, is_async

SIZE = 32
"""Most responses a call, where nothing else is said."""
MARK = "tpo_batch_size"
"""The attribute that tells a batched function from others; it may be set by hand."""

Values = Sequence[RewardValue]
_NOT_VALUES = (Mapping, AbstractSet, str, bytes)
"""Iterable, and without one value for each response in order."""
BatchedFunction = Callable[[list[Any], list[str]], Values | Awaitable[Values]]
"""``f(conversations, responses) -> numbers``, one for each, in order; sync or async; larger is better."""
F = TypeVar("F", bound=BatchedFunction)


@overload
def batched(function: F) -> F: ...
@overload
def batched(*, size: int = SIZE) -> Callable[[F], F]: ...
def batched(function: F | None = None, *, size: int = SIZE) -> F | Callable[[F], F]:
    """Mark a function as one that takes up to *size* conversations and as many responses in each call.

    Raises:
        ConfigError: *size* is below 1.
    """
    if size < 1:
        raise ConfigError(f"@batched(size={size}): a batch holds at least 1 response")

    def mark(marked: F) -> F:
        setattr(marked, MARK, size)
        return marked

    return mark if function is None else mark(function)


def batched_function(thing: Any) -> tuple[BatchedFunction, int] | None:
    """The batched function that *thing* is, or has as its ``score_batch``, with its size; None if neither."""
    own = getattr(thing, "score_batch", None)
    function = own if callable(own) else thing
    size = getattr(function, MARK, getattr(thing, MARK, SIZE if function is own else None))
    return None if size is None else (function, int(size))


@dataclass(frozen=True, slots=True)
class _Response:
    messages: list[Message]
    text: str


class BatchedReward:
    """Calls *function* with the responses that wait, up to *size* at a time.

    A sync function runs in one worker thread, one batch after the other; of an async one four may be under
    way. A batch that raises is tried again in halves, so that one response's trouble is its own, and that
    response a few times more. A ``TpoError`` passes as it is. A batch that takes longer than *timeout*
    seconds fails. *listener* receives a ``CallRetried`` for each further try of a response.
    """

    def __init__(
        self,
        function: BatchedFunction,
        size: int = SIZE,
        *,
        timeout: float = READ_TIMEOUT,
        clock: Clock | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._function = awaitable(function, threads=1, timeout=timeout)
        self._clock = clock or Clock()
        self._listener = listener
        self._name = getattr(function, "__name__", type(function).__name__)
        self._gatherer: Gatherer[_Response, Any] = Gatherer(
            self._compute,
            budget=size,
            in_flight=4 if is_async(function) else 1,  # one thread cannot do more
            part=lambda error: not getattr(error, "fatal", False),
        )

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the function's score of *response*.

        Raises:
            RewardError: it raised for this response alone, or gave no finite number, or too few or many.
        """
        item = _Response(thaw(list(messages)), response)

        async def call() -> Any:
            try:
                return await self._gatherer.submit(item)
            except _WrongCount as error:
                raise RewardError(f"{place(scope)}: {error}") from error

        return await score_with_retries(call, self._name, scope, self._listener, self._clock)

    async def probe(self, messages: Messages) -> None:
        """Find out whether the function works at all.

        Raises:
            RewardRefused: it does not.
        """
        await probe(self.score, messages, self._name)

    async def _compute(self, batch: Sequence[_Response]) -> list[Any]:
        conversations = [item.messages for item in batch]
        values = await self._function(conversations, [item.text for item in batch])
        try:
            listed = None if isinstance(values, _NOT_VALUES) else list(values)
        except TypeError:
            listed = None
        if listed is None or len(listed) != len(batch):
            got = f"{values!r:.200}" if listed is None else f"{len(listed)} numbers"
            raise _WrongCount(f"{self._name} must return {len(batch)} numbers; it returned {got}")
        return listed


class _WrongCount(Exception):
    """A batched function that did not give one value for each response."""

    fatal = True  # splitting the batch would not help
