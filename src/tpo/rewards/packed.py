"""A batch read as one row without padding, in which every beginning that conversations share stands once.

Each token is computed as if its conversation were alone: its position counts from the conversation's start,
and attention goes one conversation after the other. So the responses to one query read it once. And of the
last layer, whose output counts at the last tokens only, little more than those is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tpo.rewards.layout import Layout, is_short, lay_out, whole_blocks
from tpo.rewards.padded import PaddedReader
from tpo.rewards.selftest import Trial

ATTENTION = "tpo_packed"


class PackedReader:
    """Raw logits of whole batches by *model*, which must be one that :func:`packed_reader` found fit."""

    def __init__(self, model: Any, pad: int | None) -> None:
        self.model = model
        self.pad_token = pad

    @torch.inference_mode()
    def __call__(self, batch: Sequence[Sequence[int]]) -> list[float]:
        """One raw logit a conversation, as it would be alone."""
        read = [self._read_part(one) for one in batch]
        order = sorted(range(len(read)), key=lambda at: (is_short(read[at]), read[at]))
        layout = lay_out([read[at] for at in order])
        with _laid_out(layout):
            output = self.model.base_model(
                input_ids=layout.ids, position_ids=layout.positions, use_cache=False
            )
        # One after the other, since a product's rounding may depend on its number of rows.
        values = [float(self.model.score(output.last_hidden_state[:, end : end + 1])) for end in layout.ends]
        return [value for _, value in sorted(zip(order, values, strict=True))]

    def _read_part(self, one: Sequence[int]) -> tuple[int, ...]:
        """*one* up to the token that is scored: the last that is not the model's padding token."""
        end = next((at for at in range(len(one), 0, -1) if one[at - 1] != self.pad_token), 1)
        return tuple(one[:end])


def packed_reader(padded: PaddedReader, trial: Trial) -> PackedReader | None:
    """A packed reader in place of *padded*, whose model then reads no other way; None if *trial* fails.

    It fails where attention slides or takes more than queries, keys and values, and where a model counts
    positions itself; then the model stays as it is.
    """
    model = padded.model
    if model.config._attn_implementation != "sdpa" or not _sees_all(model.config):
        return None
    reader = PackedReader(model, padded.pad_token)
    try:
        _pack(model)
        if trial.agrees(reader):
            return reader
    except Exception:  # noqa: BLE001, S110 - whatever a model raises, it does not read this
        pass
    _unpack(model)
    return None


def _sees_all(config: Any) -> bool:
    """Return whether every layer attends to everything before a token."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)


class _LastRows(torch.nn.Module):
    """*inner* for the conversations' last tokens; zeros for all others, of which nothing more is used."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, hidden: Tensor) -> Tensor:
        """(1, row, width) as *inner* gives it."""
        last = _LAYOUT.get().last
        some = self.inner(hidden[:, last])
        rows: Tensor = some.new_zeros(*hidden.shape[:-1], some.shape[-1])
        rows[:, last] = some
        return rows


_LAYOUT: ContextVar[Layout] = ContextVar("layout")


@contextmanager
def _laid_out(layout: Layout) -> Iterator[None]:
    token = _LAYOUT.set(layout)
    try:
        yield
    finally:
        _LAYOUT.reset(token)


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attention (1, row, heads, width) within each conversation."""
    layout = _LAYOUT.get()
    unfolded = [_taken(one, layout.unfolded) for one in (query, key, value)]
    if isinstance(getattr(module, "o_proj", None), _LastRows):
        parts = [
            (query[:, :, end : end + 1], *(one[:, :, begin : begin + length] for one in unfolded[1:]))
            for end, (begin, length) in zip(layout.ends, layout.spans, strict=True)
        ]
        seen = torch.cat([sdpa_attention_forward(module, *part, None, **options)[0] for part in parts], 1)
        rows = seen.new_zeros(1, query.shape[2], *seen.shape[2:])
        rows[:, layout.ends] = seen
        return rows, None
    spans = [slice(begin, begin + whole_blocks(length)) for begin, length in layout.spans]
    parts = [tuple(one[:, :, span] for one in unfolded) for span in spans]
    seen = torch.cat([sdpa_attention_forward(module, *part, None, **options)[0] for part in parts], 1)
    return seen.index_select(1, layout.folded), None


def _taken(heads: Tensor, places: Tensor) -> Tensor:
    """The tokens at *places* of (1, heads, row, width), which lie in memory token by token."""
    return heads.transpose(1, 2).index_select(1, places).transpose(1, 2)


AttentionInterface.register(ATTENTION, _attend)


def _pack(model: Any) -> None:
    model.set_attn_implementation(ATTENTION)
    for part, name in _ended(model):
        setattr(part, name, _LastRows(getattr(part, name)))


def _unpack(model: Any) -> None:
    model.set_attn_implementation("sdpa")
    for part, name in _ended(model):
        if isinstance(one := getattr(part, name), _LastRows):
            setattr(part, name, one.inner)


def _ended(model: Any) -> list[tuple[Any, str]]:
    """The parts of the last layer that are needed at last tokens only, where all have the usual names."""
    layer = [*getattr(model.base_model, "layers", [None])][-1]
    attention = getattr(layer, "self_attn", None)
    parts = [(attention, "q_proj"), (attention, "o_proj"), (layer, "mlp")]
    return parts if all(hasattr(part, name) for part, name in parts) else []
