"""A continuous-batching engine: what waits joins the batch at the next step, what is finished leaves it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.simulation.cache import Cache
from benchmarks.simulation.hardware import Hardware
from benchmarks.simulation.texts import Run, block_keys, length


@dataclass(frozen=True, slots=True)
class Served:
    """What a finished sequence took."""

    prompt_tokens: int
    cached_tokens: int
    started: float
    ended: float


@dataclass(slots=True)
class Totals:
    """What an engine has done.

    *context_steps* are tokens of cache that were read, over all its steps; *most_held* those that running
    sequences held at a time; *passes* are stretches of time, each with its end, its seconds and the sequences
    that ran.
    """

    steps: int = 0
    busy_seconds: float = 0.0
    sequence_seconds: float = 0.0
    prompt_tokens: int = 0
    computed_tokens: int = 0
    written_tokens: int = 0
    context_steps: int = 0
    waited_seconds: float = 0.0
    most_held: int = 0
    passes: list[tuple[float, float, int]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Sequence:
    prompt: list[Run]
    reply: list[Run]
    future: asyncio.Future[Served]
    submitted: float
    prompt_tokens: int
    reply_tokens: int
    keys: list[int]
    """Of the prompt's whole blocks."""
    left: int = 0
    """Prompt tokens still to be computed."""
    cached: int = 0
    started: float = 0.0
    ends_at: int = 0
    """The step after which it is finished."""


@dataclass(eq=False)
class Engine:
    """A model on *hardware*; :meth:`submit` a sequence and await it. Must be used under a virtual clock.

    What waits is admitted by priority, lowest first, then in the order it came, while there is room. Prompts
    are read in pieces beside the sequences that write. Blocks of finished and running sequences are found
    again by later prompts; those that several running ones share are held once, and those that none holds
    make room for what is written, the least recently used first. No sequence is ever preempted: where a
    real engine would have to, this one stops with an error.
    """

    hardware: Hardware
    totals: Totals = field(default_factory=Totals)

    def __post_init__(self) -> None:
        self._waiting: list[tuple[float, int, _Sequence]] = []
        self._prefilling: list[_Sequence] = []
        self._decoding: list[tuple[int, int, _Sequence]] = []
        self._cache = Cache(self.hardware.cache_tokens, self.hardware.block)
        self._number = 0
        self._context = 0
        self._driver: asyncio.Task[None] | None = None
        self._arrival: asyncio.Future[None] | None = None

    @property
    def running(self) -> int:
        """Sequences in the batch."""
        return len(self._prefilling) + len(self._decoding)

    def submit(
        self, prompt: list[Run], reply: Sequence[Run], priority: float = 0.0
    ) -> asyncio.Future[Served]:
        """Have *reply* written to *prompt*."""
        loop = asyncio.get_running_loop()
        tokens = max(1, length(reply))
        keys = block_keys(prompt, self.hardware.block)
        sequence = _Sequence(
            prompt, list(reply), loop.create_future(), loop.time(), length(prompt), tokens, keys
        )
        self._number += 1
        heapq.heappush(self._waiting, (priority, self._number, sequence))
        if self._driver is None or self._driver.done():
            self._driver = loop.create_task(self._drive())
        elif self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        return sequence.future

    async def _drive(self) -> None:
        try:
            await self._work()
        except RuntimeError as error:
            writing = [sequence for *_, sequence in (*self._waiting, *self._decoding)]
            for sequence in (*writing, *self._prefilling):
                if not sequence.future.done():
                    sequence.future.set_exception(error)

    async def _work(self) -> None:
        while self._waiting or self._prefilling or self._decoding:
            self._admit()
            if self._prefilling:
                await self._mixed_step()
            else:
                await self._decode()

    def _admit(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._waiting and self.running < self.hardware.sequences:
            sequence = self._waiting[0][2]
            if self.running and not self._cache.has_room(sequence.keys, self._begun(sequence) + 1):
                return
            heapq.heappop(self._waiting)
            sequence.started = now
            self.totals.waited_seconds += now - sequence.submitted
            sequence.cached = self._find(sequence)
            sequence.left = sequence.prompt_tokens - sequence.cached
            self._prefilling.append(sequence)
            self._grow(self._begun(sequence))

    def _begun(self, sequence: _Sequence) -> int:
        """Tokens of its prompt's last block, which is not whole."""
        return sequence.prompt_tokens - len(sequence.keys) * self.hardware.block

    def _grow(self, tokens: int) -> None:
        """Running sequences need room for *tokens* more.

        Raises:
            RuntimeError: there is none.
        """
        self._cache.grow(tokens)
        self.totals.most_held = max(self.totals.most_held, self._cache.held)
        if self._cache.held > self.hardware.cache_tokens and self.running > 1:
            raise RuntimeError(
                f"{self.running} running sequences hold all {self.hardware.cache_tokens} tokens of cache: "
                "a real engine would preempt one; give this one fewer sequences or more cache"
            )

    def _find(self, sequence: _Sequence) -> int:
        """Tokens of its prompt that need not be computed; all of its blocks are held from now on."""
        block = self.hardware.block
        return min(self._cache.take(sequence.keys), (sequence.prompt_tokens - 1) // block) * block

    async def _mixed_step(self) -> None:
        """One step that reads prompts, as far as its tokens go, beside what is being written."""
        room = self.hardware.batch_tokens - len(self._decoding)
        read = 0
        for sequence in self._prefilling:
            part = min(sequence.left, room - read)
            sequence.left -= part
            read += part
        self.totals.computed_tokens += read
        await self._pass(1, read)
        done = [sequence for sequence in self._prefilling if not sequence.left]
        self._prefilling = [sequence for sequence in self._prefilling if sequence.left]
        for sequence in done:  # the step that ends a prompt writes the first token
            self._start_writing(sequence)
        self._finish()

    def _start_writing(self, sequence: _Sequence) -> None:
        self.totals.prompt_tokens += sequence.prompt_tokens
        self.totals.written_tokens += sequence.reply_tokens
        self._context += sequence.prompt_tokens + 1
        self._grow(1)
        sequence.ends_at = self.totals.steps + sequence.reply_tokens - 1
        self._number += 1
        heapq.heappush(self._decoding, (sequence.ends_at, self._number, sequence))

    async def _decode(self) -> None:
        """Steps alike until the first sequence ends, or until one arrives that there is room for."""
        steps = self._decoding[0][0] - self.totals.steps
        if self.running < self.hardware.sequences and not self._waiting:
            steps = await self._until_arrival(steps)
        await self._pass(steps, 0)
        self._finish()

    async def _until_arrival(self, steps: int) -> int:
        """How many of *steps* are over, or under way, when something arrives; waits until then."""
        loop = asyncio.get_running_loop()
        begun, whole = loop.time(), self._seconds(steps)
        self._arrival = loop.create_future()
        timer = loop.call_later(whole, _wake, self._arrival)
        await self._arrival
        self._arrival = None
        timer.cancel()
        elapsed = loop.time() - begun
        low, high = 1, steps
        while low < high:  # the first step that is not over yet
            middle = (low + high) // 2
            if self._seconds(middle) < elapsed - 1e-9:
                low = middle + 1
            else:
                high = middle
        self._waited = elapsed
        return low

    _waited: float = field(default=0.0, init=False)

    def _seconds(self, steps: int, read: int = 0) -> float:
        return self.hardware.seconds(len(self._decoding), self._context, read, steps)

    async def _pass(self, steps: int, read: int) -> None:
        """Let *steps* steps go by, less what was waited for already."""
        seconds, writing = self._seconds(steps, read), len(self._decoding)
        waited, self._waited = self._waited, 0.0
        await asyncio.sleep(max(0.0, seconds - waited))
        totals = self.totals
        totals.context_steps += steps * self._context + writing * steps * (steps - 1) // 2
        totals.steps += steps
        totals.busy_seconds += seconds
        totals.sequence_seconds += seconds * self.running
        totals.passes.append((asyncio.get_running_loop().time(), seconds, self.running))
        self._context += steps * writing
        self._grow(steps * writing)

    def _finish(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._decoding and self._decoding[0][0] <= self.totals.steps:
            sequence = heapq.heappop(self._decoding)[2]
            self._context -= sequence.prompt_tokens + sequence.reply_tokens
            self._cache.grow(-self._begun(sequence) - sequence.reply_tokens)
            whole = block_keys([*sequence.prompt, *sequence.reply], self.hardware.block)
            self._cache.let_go(sequence.keys, whole)
            if not sequence.future.done():
                sequence.future.set_result(
                    Served(sequence.prompt_tokens, sequence.cached, sequence.started, now)
                )


def _wake(arrival: asyncio.Future[None]) -> None:
    if not arrival.done():
        arrival.set_result(None)
