"""Dynamic batching: rows of all calls in flight, decoded together, one model, one thread.

While batches are being written, new rows collect. Once there is room and they are many, or have waited for a
few tokens, the group that waits longest begins with those nearest to it in length, so a long answer holds up
nobody.

A step writes a token to every row, all batches in one pass of the model
(:mod:`tpo.policies.local.passes`); a model that cannot do this writes to one batch after the other. Batches
are put together where the padding costs less than a step.

When memory runs out, or any error meets more than one row, the rows are parted in two, and each half goes on
where it stood with nothing else under way. Each failure halves the rows that meet the next one, so retries
are bounded; a row that fails alone has failed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from tpo.inprocess.batch_selection import next_batch
from tpo.inprocess.memory import is_out_of_memory
from tpo.policies.local.batch import Batch
from tpo.policies.local.draw import PLAIN, SamplingOptions
from tpo.policies.local.group import Group, grouped
from tpo.policies.local.passes import Part, read_alone, read_apart, read_together
from tpo.policies.local.plain import PlainEngine
from tpo.policies.local.prefixes import Prefixes
from tpo.policies.local.row import Row, draw_rows

GROWTH = 64
"""Tokens that an answer is first expected to have; later, what the answers so far had."""

MEMORY = 0.05
"""The weight of the newest answer in that expectation."""

PADDING = 4096
"""Slots whose reading takes about as long as a step of a small model on a CPU."""

WAIT = 16
"""Steps for which rows wait for others to begin with, since beginning costs those under way a copy."""

MANY = 0.25
"""The share of what is under way from which on rows that wait are many."""

SPARE = 1.25
"""Room for answers that are longer than expected; one that grows further still is made room for."""


class Engine:
    """Decodes rows on *model* until each has drawn one of *ends* or its most tokens.

    *budget* bounds the slots in use when a batch begins; one that outgrows it is parted. As many again are
    kept of what was read. *padding*: empty slots that are worth a step less. *arbiter*, the same model in
    double precision, decides draws that logits off by *noise* could turn. *side_by_side*, *together*: the
    model has passed :mod:`tpo.policies.local.selftest` in this way. *limit*: the model's
    :func:`tpo.inprocess.limits.uniform_length`; longer rows are decoded by ``generate``, alone.
    """

    def __init__(
        self,
        model: Any,
        ends: frozenset[int],
        *,
        budget: int,
        padding: int = PADDING,
        arbiter: Any = None,
        noise: float = 0.0,
        options: SamplingOptions = PLAIN,
        side_by_side: bool = False,
        together: bool = False,
        limit: int | None = None,
    ) -> None:
        self._model = model
        self._ends = ends
        self._budget = budget
        self._padding = padding
        self._arbiter = arbiter
        self._noise = noise if arbiter is not None else 0.0
        self._options = options
        self._limit = limit
        self._plain = PlainEngine(model, ends, options=options)
        self._side_by_side = side_by_side
        self._together = together
        self._lock = threading.Lock()
        self._added: list[Row] = []
        self._waiting: list[Group] = []
        self._parted: deque[list[Row]] = deque()
        self._batches: deque[Batch] = deque()
        self._length = GROWTH / SPARE
        self._steps = 0
        self.prefixes = Prefixes(budget)
        self.settled = 0
        """Draws that the arbiter decided."""
        self.widest = 0
        """The most samples that were written side by side."""

    def add(self, rows: Sequence[Row]) -> None:
        """Let *rows* wait for their batch."""
        self._plain.add([row for row in rows if self._outgrown(row)])
        with self._lock:
            self._added.extend(row for row in rows if not self._outgrown(row))

    @torch.inference_mode()
    def step(self) -> bool:
        """Begin a batch, or write a token to every row of the one whose turn it is; False if all is done.

        Rows beyond the limit wait until no others are left.
        """
        groups = self._next_groups()
        if groups:
            self._guarded([row for group in groups for row in group.rows], lambda: self._begin(groups))
            if self._batches:
                self._put_together()
        elif batches := self._turn():
            self._guarded([row for batch in batches for row in batch.live], lambda: self._write(batches))
        else:
            return self._plain.step()
        return True

    def _outgrown(self, row: Row) -> bool:
        return self._limit is not None and row.length > self._limit

    @property
    def _growth(self) -> int:
        """Tokens that a row is expected to grow by."""
        return int(SPARE * self._length) + 1

    def _next_groups(self) -> list[Group]:
        """The groups to begin with now, if any; rows that were parted first."""
        left = self._budget - sum(batch.slots for batch in self._batches)
        while self._parted:
            rows = [row for row in self._parted[0] if not row.over]
            if self._batches and rows:
                return []
            self._parted.popleft()
            if rows:
                return [Group([row]) for row in rows]
        self._receive()
        if not self._waiting or not self._may_begin(left):
            return []
        alike = [group for group in self._waiting if _kind(group) == _kind(self._waiting[0])]
        groups = next_batch(alike, lambda group: group.slots(self._growth), left)
        taken = set(groups)
        self._waiting = [group for group in self._waiting if group not in taken]
        return groups

    def _receive(self) -> None:
        """Let what was added wait in groups, each with what is kept of its text."""
        with self._lock:
            added, self._added = self._added, []
        new = grouped(added, self._growth) if self._side_by_side else [Group([row]) for row in added]
        for group in new:
            group.kept, group.since = self.prefixes.find(group.text), self._steps
        self._waiting = [group for group in (*self._waiting, *new) if not group.over]

    def _may_begin(self, left: int) -> bool:
        """Return whether the longest-waiting group should start, with *left* slots unused."""
        if not self._batches:
            return True
        slots, live = self._waiting[0].slots(self._growth), sum(batch.live_slots for batch in self._batches)
        many = sum(group.slots(self._growth) for group in self._waiting) >= MANY * live
        due = self._steps - self._waiting[0].since >= WAIT
        return slots <= left and 2 * live <= self._budget and (many or due)

    def _begin(self, groups: list[Group]) -> None:
        self._batches.append(Batch(self._model, groups))
        self.widest = max(self.widest, self._batches[-1].lanes)

    def _put_together(self) -> None:
        """Let the newest batch take over one that is about as long."""
        newest = self._batches[-1]
        other = next(
            (one for one in self._batches if one is not newest and newest.fits(one, self._padding)), None
        )
        if other is None:
            return

        def work() -> None:
            newest.absorb(other)
            self._batches.append(newest)

        self._batches.remove(newest)
        self._batches.remove(other)
        self._guarded(newest.live + other.live, work)

    def _turn(self) -> list[Batch]:
        """The batches whose next tokens are written now: all, where they share a pass, else one by one."""
        turn = len(self._batches) if self._together else min(1, len(self._batches))
        return [self._batches.popleft() for _ in range(turn)]

    def _write(self, batches: list[Batch]) -> None:
        self._steps += 1
        going: list[tuple[Batch, torch.Tensor]] = []
        for batch, tokens in zip(batches, self._draw(batches), strict=True):
            self._take(batch, tokens.tolist())
            live = batch.live
            if len(live) > 1 and batch.slots > 2 * self._budget:
                self._part(live)
            elif live:
                going.append((batch, tokens))
        parts = [batch.feed(tokens) for batch, tokens in going]
        for (batch, _), logits in zip(going, self._read(parts), strict=True):
            batch.logits = logits
            self._batches.append(batch)

    def _read(self, parts: list[Part]) -> list[torch.Tensor]:
        if parts and self._together:
            return read_together(self._model, parts)
        return [read_apart(self._model, part) for part in parts]

    def _take(self, batch: Batch, tokens: list[list[int]]) -> None:
        """Give each live row of *batch* its token, and let those go that it ends."""
        for at, lane, row in batch.places():
            if not row.over:
                row.add(tokens[at][lane], self._ends)
                self._finished(batch, row)
            if row.over:
                batch.drop(row)
            elif self._outgrown(row):
                batch.drop(row)
                self._plain.add([row])

    def _finished(self, batch: Batch, row: Row) -> None:
        """Keep what a row without siblings has read and written: its conversation may go on."""
        if not row.over:
            return
        self._length += MEMORY * (len(row.tokens) - self._length)
        if batch.lanes == 1 and (kept := batch.kept(row)) is not None:
            self.prefixes.keep(row.text, kept)

    def _draw(self, batches: list[Batch]) -> list[torch.Tensor]:
        """The next token of each row (groups, lanes), a tensor a batch; of a finished row, anything."""
        rows = [row for batch in batches for row in batch.live]
        logits = torch.cat([batch.live_logits() for batch in batches])
        drawn = draw_rows(rows, logits, self._options, self._noise)
        for at in drawn.doubtful.nonzero()[:, 0].tolist():
            sure = draw_rows([rows[at]], read_alone(self._arbiter, rows[at].text), self._options)
            drawn.tokens[at] = sure.tokens[0]
            self.settled += 1
        tokens = torch.split(drawn.tokens, [len(batch.live) for batch in batches])
        return [batch.spread(part) for batch, part in zip(batches, tokens, strict=True)]

    def _guarded(self, rows: list[Row], work: Callable[[], None]) -> None:
        """Do *work*; if it fails, part *rows*, or fail the one that is left."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever a model raises is one row's failure in the end
            if is_out_of_memory(error) and len(rows) > 1:
                self._budget = max(1, self._budget // 2)
                self.prefixes.clear()
                _free_memory()
            left = [row for row in rows if not row.over and not self._outgrown(row)]
            if len(left) > 1 or (left and self._batches):
                self._part(left)
            elif left:
                left[0].fail(error)

    def _part(self, rows: list[Row]) -> None:
        half = len(rows) // 2
        self._parted.extend(part for part in (rows[:half], rows[half:]) if part)


def _kind(group: Group) -> tuple[int, bool]:
    """Return the key that groups share to start together: lanes, and whether most text is cached."""
    return len(group.rows), group.kept is not None and 2 * group.kept.count > group.rows[0].length


def _free_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
