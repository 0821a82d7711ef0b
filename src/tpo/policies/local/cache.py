"""Keys and values of a batch under way, in room that is grown in blocks.

The stock layer copies all it holds at every token, which for a small model costs more than the model itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

BLOCK = 64
"""Slots by which the room grows: copies become rare, and at most so many slots stand empty."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Keys and values of the first *count* tokens of a text, each (heads, count, width), a pair a layer."""

    count: int
    layers: tuple[tuple[Tensor, Tensor], ...]

    def first(self, count: int) -> Kept:
        """Those of the first *count* tokens alone."""
        return Kept(count, tuple((keys[:, :count], values[:, :count]) for keys, values in self.layers))


class _RoomyLayer(DynamicLayer):  # type: ignore[misc] # transformers publishes no types
    """A layer's keys and values, (rows, heads, slots, width), as views into tensors with room to spare."""

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append *keys* and *values*, and return all."""
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
            self.keys, self.values = keys[:, :, :0], values[:, :, :0]
            self._room = None
        begin, end = self.keys.shape[-2], self.keys.shape[-2] + keys.shape[-2]
        if self._room is None or self._room[0].shape[-2] < end:
            self._room = _grown(self.keys, end), _grown(self.values, end)
        for room, new in zip(self._room, (keys, values), strict=True):
            room[:, :, begin:end] = new
        self.keys, self.values = self._room[0][:, :, :end], self._room[1][:, :, :end]
        return self.keys, self.values

    def begin(self, kept: Sequence[tuple[Tensor, Tensor] | None]) -> None:
        """Start from what was kept of each row's text (None: of nothing), padded on the left."""
        keys, values = next(pair for pair in kept if pair is not None)
        most = max(pair[0].shape[-2] for pair in kept if pair is not None)
        self.lazy_initialization(keys[None], values[None])
        self.keys, self.values = (
            torch.stack([_padded(one, pair and pair[part], most) for pair in kept])
            for part, one in enumerate((keys, values))
        )
        self._room = None

    def take(self, rows: Tensor, slots: Tensor) -> None:
        """Keep *rows*, in that order and as often as named, and of each its *slots* (rows, kept slots)."""
        self._room = None
        # Indexing two dimensions at once puts them first.
        self.keys, self.values = (
            held[rows[:, None], :, slots].transpose(1, 2) for held in (self.keys, self.values)
        )

    def join(self, other: _RoomyLayer, slots: int) -> None:
        """Put the rows of *other* below, both padded on the left to *slots*."""
        self._room = None
        pairs = ((self.keys, other.keys), (self.values, other.values))
        self.keys, self.values = (torch.cat([_widened(one, slots) for one in pair]) for pair in pairs)


def _padded(like: Tensor, held: Tensor | None, slots: int) -> Tensor:
    return _widened(held if held is not None else like[..., :0, :], slots)


def _widened(held: Tensor, slots: int) -> Tensor:
    return pad(held, (0, 0, slots - held.shape[-2], 0))  # zeros, since what is masked must still be a number


def _grown(held: Tensor, slots: int) -> Tensor:
    rows, heads, used, width = held.shape
    room = held.new_empty(rows, heads, -(-slots // BLOCK) * BLOCK + BLOCK, width)
    room[:, :, :used] = held
    return room


def is_cacheable(config: Any) -> bool:
    """Return whether every layer of a model of *config* caches keys and values, and nothing else."""
    return all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer)
        for layer in DynamicCache(config=config).layers
    )


def new_cache(config: Any, kept: Sequence[Kept | None] = ()) -> DynamicCache:
    """Return a cache for a model of *config*, empty or with what was *kept* of each row's text.

    Sliding layers keep every slot as well: rows are decoded here only while they fit the window.
    """
    cache = DynamicCache(config=config)
    cache.layers = [_RoomyLayer() for _ in cache.layers]
    if any(kept):
        for number, layer in enumerate(cache.layers):
            layer.begin([one and one.layers[number] for one in kept])
    return cache


def cut_out(cache: DynamicCache, row: int, slots: Tensor) -> Kept:
    """A copy of what *row* holds in *slots*."""
    pairs = tuple((layer.keys[row][:, slots], layer.values[row][:, slots]) for layer in cache.layers)
    return Kept(len(slots), pairs)


def join(cache: DynamicCache, other: DynamicCache, slots: int) -> None:
    """Put the rows of *other* below those of *cache*, both padded on the left to *slots*."""
    for layer, one in zip(cache.layers, other.layers, strict=True):
        layer.join(one, slots)


def take_rows(cache: DynamicCache, rows: Tensor, slots: Tensor) -> None:
    """Keep *rows* of *cache*, and of each its *slots* (rows, kept slots)."""
    for layer in cache.layers:
        layer.take(rows, slots)


def slot_bytes(config: Any, dtype: torch.dtype) -> int:
    """Bytes that one token of one row takes in the cache."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * int(config.num_hidden_layers) * int(heads) * int(width) * dtype.itemsize
