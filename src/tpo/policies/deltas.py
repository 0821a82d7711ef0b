"""Deltas of the samples of one call, made of the pieces in which a policy gets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from tpo.policies.wrapper import closing
from tpo.reasoning import ReasoningSplitter
from tpo.types import Completion, Delta


@dataclass(slots=True)
class _Written:
    """Pieces of a sample that were announced: *text* and *reasoning*. *is_void*: they no longer count."""

    splitter: ReasoningSplitter
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    is_void: bool = False

    def missing(self, completion: Completion) -> str | None:
        """Return the end of the text that was not announced; None where what was is something else."""
        text, reasoning = "".join(self.text), "".join(self.reasoning).strip()
        is_start = completion.text.startswith(text) and reasoning == (completion.reasoning or "").strip()
        return completion.text[len(text) :] if is_start else None


class Deltas:
    """Tells *tell* each piece of a sample, reasoning apart, and makes the pieces add up to the completion.

    *opened*: the chat template opens the reasoning.
    """

    def __init__(self, tell: Callable[[Delta], None], *, opened: bool = False) -> None:
        self._tell = tell
        self._opened = opened
        self._samples: dict[int, _Written] = {}

    def restart(self, indices: Iterable[int]) -> None:
        """Discard what came of the samples *indices*, which are requested again."""
        for index in indices:
            self._samples[index] = self._anew(index)

    def add(self, index: int, text: str, *, is_reasoning: bool = False) -> None:
        """Announce *text* of sample *index*; of what is not known to be reasoning, the part that is."""
        sample = self._samples.setdefault(index, self._anew(index))
        for piece, apart in [(text, True)] if is_reasoning else sample.splitter.take(text):
            self._announce(index, sample, piece, apart)

    def end(self, completion: Completion) -> None:
        """Announce the rest of the sample that ended as *completion*; all of it if it differs."""
        index = completion.index
        sample = self._samples.pop(index, None) or self._anew(index)
        for piece, apart in sample.splitter.end():
            self._announce(index, sample, piece, apart)
        missing = sample.missing(completion)
        if missing is None:
            sample.is_void = sample.is_void or bool(sample.text or sample.reasoning)
            self._announce(index, sample, completion.reasoning or "", apart=True)
        self._announce(index, sample, completion.text if missing is None else missing, apart=False)

    def _anew(self, index: int) -> _Written:
        old = self._samples.get(index)
        is_void = old is not None and (old.is_void or bool(old.text or old.reasoning))
        return _Written(ReasoningSplitter(opened=self._opened), is_void=is_void)

    def _announce(self, index: int, sample: _Written, piece: str, apart: bool) -> None:
        if not piece:
            return
        (sample.reasoning if apart else sample.text).append(piece)
        self._tell(Delta(index, piece, reasoning=apart, restarts=sample.is_void))
        sample.is_void = False


async def with_deltas(
    source: Callable[[Deltas], AsyncIterator[Completion]], *, opened: bool = False
) -> AsyncIterator[Completion | Delta]:
    """Yield the completions of *source*, each after the deltas that it was told.

    Leaving the iteration early ends *source*.
    """
    arrived: asyncio.Queue[Completion | Delta | None] = asyncio.Queue()
    deltas = Deltas(arrived.put_nowait, opened=opened)

    async def work() -> None:
        try:
            async with closing(source(deltas)) as completions:
                async for completion in completions:
                    deltas.end(completion)
                    arrived.put_nowait(completion)
        finally:
            arrived.put_nowait(None)

    task = asyncio.create_task(work())
    try:
        while (found := await arrived.get()) is not None:
            yield found
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
