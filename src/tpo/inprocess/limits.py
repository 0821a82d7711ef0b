"""Sequence lengths of a model: its context, and the length up to which it computes every token alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

CONTEXT_FIELDS = ("max_position_embeddings", "max_seq_len", "seq_length", "n_positions")
"""Names of the context length; transformers maps most to the first. MPT, BLOOM and T5 use the others."""
TRAINED = {"bloom": 2048}
"""Training lengths of models whose configuration may state none, since ALiBi does not need one."""
UNLIMITED = 1 << 30


def context_length(model: Any, tokenizer: Any) -> int:
    """Return the most tokens that *model* reads, as its files and its position table say."""
    config = model.config.get_text_config()
    stated = [getattr(config, field, None) for field in CONTEXT_FIELDS]
    if not any(stated):
        stated.append(TRAINED.get(config.model_type))
    stated += [_usable_positions(model), getattr(tokenizer, "model_max_length", None)]
    return min(UNLIMITED, *(int(limit) for limit in stated if limit))


def uniform_length(config: Any) -> int | None:
    """Return the longest sequence whose tokens are all computed alike; None if length makes no difference.

    Beyond it a sliding window hides the first tokens, or LongRoPE and dynamic RoPE take other frequencies for
    every row of the batch.
    """
    limits = [*_windows(config), *_rope_limits(config)]
    return min(limits, default=None)


def _usable_positions(model: Any) -> int | None:
    """Positions of a table that begins after the padding token, as RoBERTa's: 512 of its 514."""
    embeddings = getattr(getattr(model, "base_model", None), "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return None if table is None or padding is None else int(table.num_embeddings) - int(padding) - 1


def _windows(config: Any) -> Iterator[int]:
    from transformers.cache_utils import DynamicCache

    try:
        layers = DynamicCache(config=config).layers
    except Exception:  # noqa: BLE001 - not every configuration describes layers of attention
        return
    for layer in layers:
        if (window := getattr(layer, "sliding_window", None)) is not None:
            yield int(window)


def _rope_limits(config: Any) -> Iterator[int]:
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [one for one in rope.values() if isinstance(one, dict)] or [rope]  # some have one per layer type
    for one in kinds:
        name = str(one.get("rope_type", ""))
        if name == "longrope":
            yield int(one["original_max_position_embeddings"])
        elif "dynamic" in name:
            yield int(config.max_position_embeddings)
