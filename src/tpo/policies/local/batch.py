"""Rows that are decoded together, a token each a step.

Prompts are padded on the left, so that all rows write their next token into the same slot. Rows with the same
text so far share its prefill. A finished row keeps its place until a quarter of them have finished: leaving
costs a copy of the cache.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from tpo.policies.local.cache import can_join, join, new_cache, take_rows
from tpo.policies.local.row import Row

LEAST_LIVE = 0.75
"""The share of live rows below which a batch is drawn together."""


MOST_PADDING = 1.2
"""How much larger two batches may be as one than apart."""


class Batch:
    """*rows* in the midst of their answers; *logits* (rows, vocabulary) are of each one's next token."""

    def __init__(self, model: Any, rows: Sequence[Row]) -> None:
        self._model = model
        self._last_only = _last_only(model)
        texts = list({row.text: None for row in rows})
        ids, mask = left_padded(texts)
        self._mask = mask.to(model.device)
        self._positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        self._cache = new_cache(model.config)
        self.logits = self._forward(ids.to(model.device), self._positions)
        self._positions = self._positions[:, -1:]
        place = {text: at for at, text in enumerate(texts)}
        self.rows: list[Row | None] = list(rows)
        self._take([place[row.text] for row in rows])

    @property
    def live(self) -> list[Row]:
        """The rows that are still being written."""
        return [row for row in self.rows if row is not None]

    @property
    def slots(self) -> int:
        """Slots of the cache that are in use."""
        return len(self.rows) * self.width

    @property
    def width(self) -> int:
        """Slots of one row, padding included."""
        return int(self._mask.shape[1])

    def fits(self, other: Batch) -> bool:
        """Whether being one batch with *other* would pad little."""
        together = (len(self.rows) + len(other.rows)) * max(self.width, other.width)
        return can_join(self._cache) and together <= MOST_PADDING * (self.slots + other.slots)

    def absorb(self, other: Batch) -> None:
        """Take over the rows of *other*."""
        width = max(self.width, other.width)
        join(self._cache, other._cache, width)
        masks = (pad(batch._mask, (width - batch.width, 0)) for batch in (self, other))
        self._mask = torch.cat(list(masks))
        self._positions = torch.cat([self._positions, other._positions])
        self.logits = torch.cat([self.logits, other.logits])
        self.rows.extend(other.rows)

    def drop(self, row: Row) -> None:
        """Write no more to *row*."""
        self.rows[self.rows.index(row)] = None

    def advance(self, tokens: Tensor) -> None:
        """Feed each row its token (rows), and compute the next logits."""
        kept = [at for at, row in enumerate(self.rows) if row is not None]
        if len(kept) <= LEAST_LIVE * len(self.rows):
            tokens = tokens[kept]
            self.rows = [self.rows[at] for at in kept]
            self._take(kept)
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], 1)
        live = [[int(row is not None)] for row in self.rows]  # a finished row may stand at the context's end
        self._positions = self._positions + torch.tensor(live, device=self._positions.device)
        self.logits = self._forward(tokens[:, None], self._positions)

    def _take(self, places: Sequence[int]) -> None:
        chosen = torch.tensor(places, device=self._mask.device)
        mask = self._mask[chosen]
        unused = int(mask.argmax(-1).min())  # slots that are padding in every row that stays
        dropped = take_rows(self._cache, chosen, unused)
        self._mask = mask[:, dropped:]
        self._positions = self._positions[chosen]
        self.logits = self.logits[chosen]

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            **self._last_only,
        )
        return _readable(output.logits[:, -1])


def logits_alone(model: Any, text: Sequence[int]) -> Tensor:
    """The logits (1, vocabulary) of the token after *text*, with nothing else in the batch."""
    ids = torch.tensor([text], device=model.device)
    return _readable(model(input_ids=ids, use_cache=False, **_last_only(model)).logits[:, -1])


def left_padded(texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids and mask, each (texts, longest)."""
    longest = max(map(len, texts))
    ids = torch.zeros(len(texts), longest, dtype=torch.long)
    mask = torch.zeros(len(texts), longest, dtype=torch.long)
    for at, text in enumerate(texts):
        ids[at, longest - len(text) :] = torch.tensor(text)
        mask[at, longest - len(text) :] = 1
    return ids, mask


def _last_only(model: Any) -> dict[str, int]:
    """Spare the vocabulary's logits of all but the last token, where the model can."""
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}


def _readable(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()
