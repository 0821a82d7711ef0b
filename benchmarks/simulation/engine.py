"""A continuous-batching engine: what waits joins the batch at the next step, what is finished leaves it."""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

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
    """What an engine has done; *context_steps* are tokens of cache that were read, over all its steps."""

    steps: int = 0
    busy_seconds: float = 0.0
    sequence_seconds: float = 0.0
    prompt_tokens: int = 0
    computed_tokens: int = 0
    written_tokens: int = 0
    context_steps: int = 0
    waited_seconds: float = 0.0


@dataclass(eq=False, slots=True)
class _Sequence:
    prompt: list[Run]
    reply: list[Run]
    future: asyncio.Future[Served]
    submitted: float
    prompt_tokens: int
    reply_tokens: int
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
    again by later prompts until the least recently used are pushed out. No sequence is ever preempted.
    """

    hardware: Hardware
    totals: Totals = field(default_factory=Totals)

    def __post_init__(self) -> None:
        self._waiting: list[tuple[float, int, _Sequence]] = []
        self._prefilling: list[_Sequence] = []
        self._decoding: list[tuple[int, int, _Sequence]] = []
        self._cache: OrderedDict[int, None] = OrderedDict()
        self._number = 0
        self._context = 0
        self._held = 0
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
        sequence = _Sequence(prompt, list(reply), loop.create_future(), loop.time(), length(prompt), tokens)
        self._number += 1
        heapq.heappush(self._waiting, (priority, self._number, sequence))
        if self._driver is None or self._driver.done():
            self._driver = loop.create_task(self._drive())
        elif self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        return sequence.future

    async def _drive(self) -> None:
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
            if self.running and self._held + sequence.prompt_tokens > self.hardware.cache_tokens:
                return
            heapq.heappop(self._waiting)
            sequence.started = now
            self.totals.waited_seconds += now - sequence.submitted
            sequence.cached = self._find(sequence)
            sequence.left = sequence.prompt_tokens - sequence.cached
            self._held += sequence.prompt_tokens
            self._prefilling.append(sequence)

    def _find(self, sequence: _Sequence) -> int:
        """Tokens of its prompt that need not be computed; the rest of its blocks are known from now on."""
        block = self.hardware.block
        keys = block_keys(sequence.prompt, block)
        hits = 0
        while hits < len(keys) and keys[hits] in self._cache:
            hits += 1
        self._keep(keys)
        return min(hits, (sequence.prompt_tokens - 1) // block) * block

    def _keep(self, keys: Sequence[int]) -> None:
        for key in keys:
            self._cache[key] = None
            self._cache.move_to_end(key)
        while len(self._cache) * self.hardware.block > self.hardware.cache_tokens:
            self._cache.popitem(last=False)

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
        self._held += 1
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
        self._begun = begun
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
        self._context += steps * writing
        self._held += steps * writing

    def _finish(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._decoding and self._decoding[0][0] <= self.totals.steps:
            sequence = heapq.heappop(self._decoding)[2]
            self._context -= sequence.prompt_tokens + sequence.reply_tokens
            self._held -= sequence.prompt_tokens + sequence.reply_tokens
            self._keep(block_keys([*sequence.prompt, *sequence.reply], self.hardware.block))
            if not sequence.future.done():
                sequence.future.set_result(
                    Served(sequence.prompt_tokens, sequence.cached, sequence.started, now)
                )


def _wake(arrival: asyncio.Future[None]) -> None:
    if not arrival.done():
        arrival.set_result(None)
