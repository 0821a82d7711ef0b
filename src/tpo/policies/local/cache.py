"""Keys and values of a batch under way, in room that is grown in blocks.

The stock layer copies all it holds at every token, which for a small model costs more than the model itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache, DynamicLayer

BLOCK = 64
"""Slots by which the room grows: copies become rare, and at most so many slots stand empty."""


class RoomyLayer(DynamicLayer):  # type: ignore[misc] # transformers publishes no types
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

    def take(self, rows: Tensor, first_slot: int) -> None:
        """Keep *rows*, in that order and as often as named, from *first_slot* on."""
        end = self.keys.shape[-2]
        self._room = None
        self.keys = self.keys[:, :, first_slot:end][rows]
        self.values = self.values[:, :, first_slot:end][rows]

    def join(self, other: RoomyLayer, slots: int) -> None:
        """Put the rows of *other* below, both padded on the left to *slots*."""
        self._room = None
        pairs = ((self.keys, other.keys), (self.values, other.values))
        self.keys, self.values = (torch.cat([_widened(one, slots) for one in pair]) for pair in pairs)


def _widened(held: Tensor, slots: int) -> Tensor:
    return pad(held, (0, 0, slots - held.shape[-2], 0))  # zeros, since what is masked must still be a number


def _grown(held: Tensor, slots: int) -> Tensor:
    rows, heads, used, width = held.shape
    room = held.new_empty(rows, heads, -(-slots // BLOCK) * BLOCK + BLOCK, width)
    room[:, :, :used] = held
    return room


def new_cache(config: Any) -> DynamicCache:
    """An empty cache for a model of *config*, roomy wherever a layer attends to everything before it."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def can_join(cache: DynamicCache) -> bool:
    """Whether every layer keeps its slots in our way."""
    return all(isinstance(layer, RoomyLayer) for layer in cache.layers)


def join(cache: DynamicCache, other: DynamicCache, slots: int) -> None:
    """Put the rows of *other* below those of *cache*, both padded on the left to *slots*."""
    for layer, one in zip(cache.layers, other.layers, strict=True):
        layer.join(one, slots)


def take_rows(cache: DynamicCache, rows: Tensor, first_slot: int) -> int:
    """Keep *rows* of *cache*, and drop the slots before *first_slot* where that is possible.

    Returns:
        how many slots were dropped: *first_slot*, or 0 where some layer keeps its slots in its own way.
    """
    if can_join(cache):
        for layer in cache.layers:
            layer.take(rows, first_slot)
        return first_slot
    cache.batch_select_indices(rows)
    return 0


def slot_bytes(config: Any, dtype: torch.dtype) -> int:
    """Bytes that one token of one row takes in the cache."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * int(config.num_hidden_layers) * int(heads) * int(width) * dtype.itemsize
