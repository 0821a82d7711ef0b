"""Dynamic batching: rows of all calls in flight, decoded together, one model, one thread.

While batches are being written, new rows collect. Once fewer are being written than half of what would fit,
the row that waits longest begins with those nearest to it in length, so a long answer holds up nobody.
Batches of about equal length are put together; others take turns, a token each.

When memory runs out, or any error meets more than one row, the batch is parted in two and each half goes on
where it stood, until the row is found that fails with nothing else under way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from tpo.errors import PolicyError
from tpo.inprocess.memory import first_line, is_out_of_memory
from tpo.inprocess.waiting import next_batch
from tpo.policies.local.batch import Batch, logits_alone
from tpo.policies.local.draw import Settings, draw
from tpo.policies.local.row import Row

ROOM = 128
"""Tokens that a row is expected to grow by when batches are cut; one that grows further is made room for."""


class Engine:
    """Decodes rows on *model* until each has drawn one of *ends* or its most tokens.

    *budget* bounds the slots (rows times tokens) in use when a batch begins; one that outgrows it is parted.
    *arbiter*, the same model in double precision, decides draws that logits off by *noise* could turn.
    """

    def __init__(
        self,
        model: Any,
        ends: frozenset[int],
        *,
        budget: int,
        arbiter: Any = None,
        noise: float = 0.0,
    ) -> None:
        self._model = model
        self._ends = ends
        self._budget = budget
        self._arbiter = arbiter
        self._noise = noise if arbiter is not None else 0.0
        self._lock = threading.Lock()
        self._waiting: list[Row] = []
        self._parted: deque[list[Row]] = deque()
        self._batches: deque[Batch] = deque()
        self.settled = 0
        """Draws that the arbiter decided."""

    def add(self, rows: Sequence[Row]) -> None:
        """Let *rows* wait for their batch."""
        with self._lock:
            self._waiting.extend(rows)

    @torch.inference_mode()
    def step(self) -> bool:
        """Begin a batch, or write a token to every row of the one whose turn it is; False if all is done."""
        rows = self._next_rows()
        if rows:
            self._guarded(rows, lambda: self._begin(rows))
            if self._batches:
                self._put_together()
        elif self._batches:
            batch = self._batches.popleft()
            self._guarded(batch.live, lambda: self._write(batch))
        else:
            return False
        return True

    def _next_rows(self) -> list[Row]:
        """The rows to begin with now, if any; those that were parted first."""
        left = self._budget - sum(batch.slots for batch in self._batches)
        while self._parted:
            rows = [row for row in self._parted[0] if not row.over]
            slots = len(rows) * max(map(_expected_length, rows), default=0)
            if self._batches and rows and (len(rows) == 1 or slots > left):
                return []
            self._parted.popleft()
            if rows:
                return rows
        with self._lock:
            self._waiting = [row for row in self._waiting if not row.over]
            if not self._waiting or not self._has_room(left, _expected_length(self._waiting[0])):
                return []
            rows = next_batch(self._waiting, _expected_length, left)
            taken = set(rows)
            self._waiting = [row for row in self._waiting if row not in taken]
            return rows

    def _has_room(self, left: int, length: int) -> bool:
        """Whether a row of *length* should begin, with *left* slots unused."""
        if not self._batches:
            return True
        live = sum(len(batch.live) for batch in self._batches)
        return length <= left and 2 * live * length <= self._budget

    def _begin(self, rows: list[Row]) -> None:
        self._batches.append(Batch(self._model, rows))

    def _put_together(self) -> None:
        """Let the newest batch take over one that is about as long."""
        newest = self._batches[-1]
        other = next((one for one in self._batches if one is not newest and newest.fits(one)), None)
        if other is None:
            return

        def work() -> None:
            newest.absorb(other)
            self._batches.append(newest)

        self._batches.remove(newest)
        self._batches.remove(other)
        self._guarded(newest.live + other.live, work)

    def _write(self, batch: Batch) -> None:
        tokens = self._draw(batch)
        for row, token in zip(tuple(batch.rows), tokens.tolist(), strict=True):
            if row is not None and not row.over:
                row.add(token, self._ends)
            if row is not None and row.over:
                batch.drop(row)
        live = batch.live
        if len(live) > 1 and batch.slots > 2 * self._budget:
            self._part(live)
        elif live:
            batch.advance(tokens)
            self._batches.append(batch)

    def _draw(self, batch: Batch) -> torch.Tensor:
        """The next token of each row (rows); of a finished one, anything."""
        drawn = draw(batch.logits, settings := _settings(batch), self._noise)
        for at in drawn.doubtful.nonzero()[:, 0].tolist():
            row = batch.rows[at]
            if row is not None:
                alone = draw(logits_alone(self._arbiter, row.text), settings.only(torch.tensor([at])))
                drawn.tokens[at] = alone.tokens[0]
                self.settled += 1
        return drawn.tokens

    def _guarded(self, rows: list[Row], work: Callable[[], None]) -> None:
        """Do *work*; if it fails, part *rows*, or fail the one that is left."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever a model raises is one row's failure in the end
            if is_out_of_memory(error) and len(rows) > 1:
                self._budget = max(1, self._budget // 2)
                _free_memory()
            left = [row for row in rows if not row.over]
            if len(left) > 1 or (left and self._batches):
                self._part(left)
            elif left:
                left[0].end(_failure(left[0], error))

    def _part(self, rows: list[Row]) -> None:
        half = len(rows) // 2
        self._parted.extend(part for part in (rows[:half], rows[half:]) if part)


def _expected_length(row: Row) -> int:
    return row.length + min(row.max_tokens - len(row.tokens), ROOM)


def _settings(batch: Batch) -> Settings:
    """Each live row's settings, with a fresh number from its generator."""
    values = [
        (0.0, 1.0, 0.0) if row is None else (row.temperature, row.top_p, row.number) for row in batch.rows
    ]
    device = batch.logits.device
    columns = torch.tensor(values, dtype=torch.float32 if device.type == "mps" else torch.float64).to(device)
    return Settings(*columns.unbind(-1))


def _free_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _failure(row: Row, error: Exception) -> PolicyError:
    if is_out_of_memory(error):
        return PolicyError(
            f"memory ran out on a single answer of {row.length} tokens; use a smaller model, fewer tokens "
            "(--max-tokens) or a larger device"
        )
    return PolicyError(f"the model failed on a prompt of {len(row.prompt)} tokens ({first_line(error)})")
