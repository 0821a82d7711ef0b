"""How many sequences the calls in flight keep a server busy with."""

from __future__ import annotations

from tpo.types import Completion

Arrival = tuple[float, Completion]
"""A completion, and when it came."""

TOGETHER = 0.01
"""Of a call's duration, within which completions that arrive came together."""


class Load:
    """Sequences that run in the servers, as far as a client can tell.

    A request with n brings all samples when the longest is written, and by then the others have left the
    batch. So a sample of such a call counts by the share of the time in which it runs, learned from the
    lengths of those that came; one that is delivered as soon as it is finished counts whole.
    """

    def __init__(self) -> None:
        self._single = 0
        self._many = 0
        self._shares, self._calls = 1.0, 1

    @property
    def samples(self) -> int:
        """Those asked for that have not come."""
        return self._single + self._many

    @property
    def now(self) -> float:
        """Sequences that run, on average."""
        return self._single + self._many * self._shares / self._calls

    def add(self, samples: int, of: int) -> None:
        """There are so many *samples* more, or fewer, *of* so many in their call."""
        if of == 1:
            self._single += samples
        else:
            self._many += samples

    def learn(self, begun: float, arrived: list[Arrival]) -> None:
        """A call that began at *begun* has brought these."""
        if len(arrived) < 2:
            return
        (first, _), (last, _) = arrived[0], arrived[-1]
        lengths = _lengths([completion for _, completion in arrived])
        together = last - first <= TOGETHER * (last - begun)
        self._shares += sum(lengths) / (len(lengths) * max(lengths)) if together else 1.0
        self._calls += 1


def _lengths(completions: list[Completion]) -> list[int]:
    """In tokens where each one's are known, else in characters; at least 1."""
    tokens = [completion.usage.completion_tokens for completion in completions]
    return tokens if all(tokens) else [max(1, len(completion.text)) for completion in completions]
