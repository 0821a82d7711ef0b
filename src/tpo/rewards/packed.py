"""A batch read as one row without padding, in which every beginning that conversations share stands once.

Each token is computed as if its conversation were alone: its position counts from the conversation's start,
and attention goes one conversation after the other. So the responses to one query read it once. And of the
last layer, whose output counts at the last tokens only, little more than those is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tpo.rewards.layout import Layout, is_short, lay_out, whole_blocks
from tpo.rewards.padded import PaddedReader

ATTENTION = "tpo_packed"
TOLERANCE = {torch.float64: 1e-3, torch.float32: 1e-3}
"""How far packed scores may lie from padded ones, in their standard deviations; 0.05 in half precision."""


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


def packed_reader(padded: PaddedReader) -> PackedReader | None:
    """A packed reader in place of *padded*, whose model then reads no other way; None if its scores differ.

    They do where attention slides or takes more than queries, keys and values, and where a model counts
    positions itself; then the model stays as it is.
    """
    model = padded.model
    if model.config._attn_implementation != "sdpa":
        return None
    reader = PackedReader(model, padded.pad_token)
    trial = _trial(reader)[:4]  # few, since a large model takes seconds
    expected = torch.tensor(padded(trial))
    try:
        _pack(model)
        found = torch.tensor(reader(trial))
        agrees = (found - expected).abs().max() <= TOLERANCE.get(model.dtype, 0.05) * expected.std()
        if agrees and _sees_all(model.config):
            return reader
    except Exception:  # noqa: BLE001, S110 - whatever a model raises, it does not read this
        pass
    _unpack(model)
    return None


def is_steady(reader: PackedReader) -> bool:
    """Whether scores are the same to the last bit, whatever shares the batch.

    They are where the rounding of a product's row does not depend on how many rows there are.
    """
    trial = _trial(reader)
    together = reader(trial)
    return together == [reader([one])[0] for one in trial] and together[:5] == reader(trial[:5])


def _trial(reader: PackedReader) -> list[list[int]]:
    """Conversations of 7 to 331 tokens, or what the model reads, many with the beginning of another."""
    config = reader.model.config.get_text_config()
    luck = Random(0)  # noqa: S311 - a trial
    tokens = [token for token in range(min(1000, config.vocab_size)) if token != reader.pad_token]
    begin = luck.choices(tokens, k=100)
    sizes = [(0, 7), (5, 16), (5, 9), (0, 40), (40, 3), (40, 17), (40, 60), (90, 42), (90, 150), (100, 231)]
    most = getattr(config, "max_position_embeddings", None)
    return [[*begin[:common], *luck.choices(tokens, k=rest)][:most] for common, rest in sizes]


def _sees_all(config: Any) -> bool:
    """Whether every layer attends to everything before a token."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)


class LastRows(torch.nn.Module):
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
    if isinstance(getattr(module, "o_proj", None), LastRows):
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
        setattr(part, name, LastRows(getattr(part, name)))


def _unpack(model: Any) -> None:
    model.set_attn_implementation("sdpa")
    for part, name in _ended(model):
        if isinstance(one := getattr(part, name), LastRows):
            setattr(part, name, one.inner)


def _ended(model: Any) -> list[tuple[Any, str]]:
    """The parts of the last layer that are needed at last tokens only, where all have the usual names."""
    layer = [*getattr(model.base_model, "layers", [None])][-1]
    attention = getattr(layer, "self_attn", None)
    parts = [(attention, "q_proj"), (attention, "o_proj"), (layer, "mlp")]
    return parts if all(hasattr(part, name) for part, name in parts) else []
