"""Groups of rows that are decoded together, a token a row each step.

A group's rows go on from one text: it is read once and kept once, and the rows' own tokens stand side by side
behind it, each row seeing only its own. So five samples of a prompt cost the memory, and at each step the
traffic, of one. Prompts are padded on the left, so that all groups write into the same slots. A finished row
keeps its place until its group has finished, and a finished group until a quarter of them have: leaving costs
a copy of the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from tpo.policies.local.cache import Kept, cut_out, join, new_cache, take_rows
from tpo.policies.local.group import Group
from tpo.policies.local.passes import Part, read_prompts
from tpo.policies.local.row import Row

LEAST_LIVE = 0.75
"""The share of live groups below which a batch is drawn together."""


class Batch:
    """*groups* in the midst of their answers; *logits* (groups, lanes, vocabulary) are of the next tokens.

    All groups have as many lanes as the largest has rows. More than one lane takes a model that passed
    :func:`tpo.policies.local.selftest.fast_options` with ``side_by_side``.
    """

    def __init__(self, model: Any, groups: Sequence[Group]) -> None:
        self.lanes = max(len(group.rows) for group in groups)
        self.rows: list[list[Row | None]] = [
            [*group.rows, *[None] * (self.lanes - len(group.rows))] for group in groups
        ]
        first = {group.text: group.kept for group in groups}
        texts, kept = list(first), list(first.values())
        ids, mask = _left_padded([text[one.count if one else 0 :] for text, one in first.items()])
        mask = torch.cat([_kept_mask(kept), mask], 1).to(model.device)
        self._cache = new_cache(model.config, kept)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        logits = read_prompts(model, ids.to(model.device), positions[:, -ids.shape[1] :], mask, self._cache)[
            :, None
        ]
        place = {text: at for at, text in enumerate(texts)}
        rows = torch.tensor([place[group.text] for group in groups], device=mask.device)
        self._mask = mask.bool()[rows, None].expand(-1, self.lanes, -1)
        self._positions = positions[rows, -1:].expand(-1, self.lanes)
        self.logits = logits[rows].expand(-1, self.lanes, -1)
        self._pack(rows)

    def places(self) -> list[tuple[int, int, Row]]:
        """Group, lane and row of all that are still being written."""
        return [
            (at, lane, row)
            for at, lanes in enumerate(self.rows)
            for lane, row in enumerate(lanes)
            if row is not None
        ]

    @property
    def live(self) -> list[Row]:
        """The rows that are still being written."""
        return [row for _, _, row in self.places()]

    @property
    def live_slots(self) -> int:
        """Slots of the cache that hold groups which are still being written."""
        return self.width * sum(any(lanes) for lanes in self.rows)

    def live_logits(self) -> Tensor:
        """Those of the live rows (rows, vocabulary)."""
        at, lanes, _ = zip(*self.places(), strict=True)
        return self.logits[list(at), list(lanes)]

    def spread(self, tokens: Tensor) -> Tensor:
        """The live rows' *tokens* (rows) in their places (groups, lanes)."""
        at, lanes, _ = zip(*self.places(), strict=True)
        placed = tokens.new_zeros(len(self.rows), self.lanes)
        placed[list(at), list(lanes)] = tokens
        return placed

    @property
    def slots(self) -> int:
        """Slots of the cache that are in use."""
        return len(self.rows) * self.width

    @property
    def width(self) -> int:
        """Slots of one group, padding included."""
        return int(self._mask.shape[-1])

    def fits(self, other: Batch, padding: int) -> bool:
        """Return whether one batch with *other* would add at most *padding* empty slots."""
        if self.lanes != other.lanes:
            return False
        sizes = [(len(batch.rows), int(batch._seen().sum(-1).max())) for batch in (self, other)]
        together = sum(rows for rows, _ in sizes) * max(width for _, width in sizes)
        return together - sum(rows * width for rows, width in sizes) <= padding

    def absorb(self, other: Batch) -> None:
        """Take over the groups of *other*, which has as many lanes."""
        for batch in (self, other):
            batch._pack(torch.arange(len(batch.rows), device=batch._mask.device))
        width = max(self.width, other.width)
        join(self._cache, other._cache, width)
        self._mask = torch.cat([pad(batch._mask, (width - batch.width, 0)) for batch in (self, other)])
        self._positions = torch.cat([self._positions, other._positions])
        self.logits = torch.cat([self.logits, other.logits])
        self.rows.extend(other.rows)

    def drop(self, row: Row) -> None:
        """Write no more to *row*."""
        for lanes in self.rows:
            if row in lanes:
                lanes[lanes.index(row)] = None

    def kept(self, row: Row) -> Kept | None:
        """A copy of what the cache holds of *row*'s text: of all but its last token, which was not read."""
        for at, lanes in enumerate(self.rows):
            if row in lanes:
                return cut_out(self._cache, at, self._mask[at, lanes.index(row)].nonzero()[:, 0])
        return None

    def feed(self, tokens: Tensor) -> Part:
        """Return the model inputs of each row's token (groups, lanes), whose output are the next *logits*."""
        if len(self.live) <= LEAST_LIVE * len(self.rows) * self.lanes:
            tokens = self._draw_together(tokens)
        own = torch.eye(self.lanes, dtype=torch.bool, device=self._mask.device)
        self._mask = torch.cat([self._mask, own.expand(len(tokens), -1, -1)], -1)
        # A finished row may stand at the context's end.
        live = [[int(row is not None) for row in lanes] for lanes in self.rows]
        self._positions = self._positions + torch.tensor(live, device=self._positions.device)
        return Part(tokens, self._positions, self._mask, self._cache)

    def _draw_together(self, tokens: Tensor) -> Tensor:
        """Leave out groups that have finished, and lanes that none needs; the *tokens* of the rest."""
        live = [[lane for lane, row in enumerate(lanes) if row is not None] for lanes in self.rows]
        kept, most = [at for at, lanes in enumerate(live) if lanes], max(map(len, live))
        if len(kept) == len(self.rows) and most == self.lanes:
            return tokens
        # A lane that a group does not need may be any of its others.
        chosen = [[*live[at], *sorted(set(range(self.lanes)) - set(live[at]))][:most] for at in kept]
        lanes = torch.tensor(chosen, device=self._mask.device)
        rows = torch.tensor(kept, device=self._mask.device)
        self.rows = [[self.rows[at][lane] for lane in order] for at, order in zip(kept, chosen, strict=True)]
        self.lanes = most
        self._mask, self._positions = self._mask[rows[:, None], lanes], self._positions[rows[:, None], lanes]
        self._pack(rows)
        return tokens[rows[:, None], lanes]

    def _pack(self, places: Tensor) -> None:
        """Take the rows at *places* of the cache for the groups, less the slots that nobody sees any more."""
        seen = self._seen()
        most = int(seen.sum(-1).max())
        slots = seen.byte().argsort(dim=-1, stable=True)[:, -most:]
        take_rows(self._cache, places, slots)
        mask = self._mask.gather(-1, slots[:, None].expand(-1, self.lanes, -1))
        self._mask = mask & seen.gather(-1, slots)[:, None]

    def _seen(self) -> Tensor:
        """Return a mask of the slots that some live row attends to (groups, slots)."""
        live = [[row is not None for row in lanes] for lanes in self.rows]
        return (self._mask & torch.tensor(live, device=self._mask.device)[..., None]).any(1)


def _left_padded(texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids and mask, each (texts, longest)."""
    longest = max(map(len, texts))
    ids = torch.zeros(len(texts), longest, dtype=torch.long)
    mask = torch.zeros(len(texts), longest, dtype=torch.long)
    for at, text in enumerate(texts):
        ids[at, longest - len(text) :] = torch.tensor(text)
        mask[at, longest - len(text) :] = 1
    return ids, mask


def _kept_mask(kept: Sequence[Kept | None]) -> Tensor:
    """Return a mask of the slots with kept tokens, (texts, most), padded on the left."""
    counts = torch.tensor([one.count if one else 0 for one in kept])
    most = int(counts.max())
    return (torch.arange(most, 0, -1) <= counts[:, None]).long()
