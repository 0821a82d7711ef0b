"""One pass of a model over the tokens of several batches, each attending to what its own cache holds.

What a step costs is in a small model the way from one product to the next, and in a large one the reading of
the weights; neither depends much on how many rows share the step. So the tokens of all batches stand in one
line for everything but attention, which parts them: no batch is padded for another.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

PARTED = "tpo_parted"
"""The name under which transformers knows :func:`_attend`."""


@dataclass(frozen=True, slots=True)
class Part:
    """Model inputs of one batch.

    *ids* and *positions* (rows, tokens); *mask* (rows, tokens, slots): which slots of *cache* each token
    sees, the last ones being those that the tokens themselves will have.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    cache: DynamicCache


def read_prompts(model: Any, ids: Tensor, positions: Tensor, mask: Tensor, held: DynamicCache) -> Tensor:
    """The logits (rows, vocabulary) after *ids* (rows, tokens); *mask* (rows, slots): where something is."""
    output = model(
        input_ids=ids,
        position_ids=positions,
        attention_mask=mask,
        use_cache=True,
        **{_cache_name(model): held},
        **_last_only(model),
    )
    return _readable(output.logits[:, -1])


def read_alone(model: Any, text: Sequence[int]) -> Tensor:
    """The logits (1, vocabulary) of the token after *text*, with nothing else in the batch."""
    ids = torch.tensor([text], device=model.device)
    return _readable(model(input_ids=ids, use_cache=False, **_last_only(model)).logits[:, -1])


def read_whole(model: Any, text: Sequence[int]) -> Tensor:
    """The logits (tokens, vocabulary) after each token of *text*, with nothing else in the batch."""
    return _readable(model(input_ids=torch.tensor([text], device=model.device), use_cache=False).logits[0])


def read_apart(model: Any, part: Part) -> Tensor:
    """The logits (rows, tokens, vocabulary) of *part* by the model's own way."""
    # Two dimensions where they say it all: what a single token sees.
    mask = part.mask[:, None] if part.ids.shape[1] > 1 else part.mask[:, 0].long()
    output = model(
        input_ids=part.ids,
        position_ids=part.positions,
        attention_mask=mask,
        use_cache=True,
        **{_cache_name(model): part.cache},
    )
    return _readable(output.logits)


def read_together(model: Any, parts: Sequence[Part]) -> list[Tensor]:
    """The logits of each of *parts* in one pass, of a model whose attention is :data:`PARTED`."""
    output = model(
        input_ids=torch.cat([part.ids.flatten() for part in parts])[None],
        position_ids=torch.cat([part.positions.flatten() for part in parts])[None],
        attention_mask=parts[0].mask[:1, None, :1],  # handed through unread: the parts have their own
        use_cache=False,
        parts=parts,
    )
    logits = torch.split(_readable(output.logits[0]), [part.ids.numel() for part in parts])
    return [one.view(*part.ids.shape, -1) for one, part in zip(logits, parts, strict=True)]


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    parts: Sequence[Part] | None = None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of each of *parts*, whose tokens stand in one row; as ever, where there are none."""
    if parts is None:
        attended, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
        return attended, None
    shared, found, begin = query.shape[1] != key.shape[1], [], 0
    for part in parts:
        end = begin + part.ids.numel()
        asked, keys, values = (_of_rows(one[0, :, begin:end], part) for one in (query, key, value))
        keys, values = part.cache.update(keys, values, module.layer_idx)
        mask = part.mask[:, None]
        own = scaled_dot_product_attention(asked, keys, values, mask, scale=scaling, enable_gqa=shared)
        found.append(own.transpose(1, 2).flatten(0, 1))
        begin = end
    return torch.cat(found)[None], None


def _of_rows(packed: Tensor, part: Part) -> Tensor:
    """(heads, tokens of all rows, width) as (rows, heads, tokens, width)."""
    return packed.reshape(len(packed), *part.ids.shape, -1).transpose(0, 1)


def _cache_name(model: Any) -> str:
    """Return the name of *model*'s cache argument; newer versions of transformers call it ``cache``."""
    return "cache" if _takes(type(model).forward, "cache") else "past_key_values"


def _last_only(model: Any) -> dict[str, int]:
    """Spare the vocabulary's logits of all but the last token, where the model can."""
    return {"logits_to_keep": 1} if _takes(type(model).forward, "logits_to_keep") else {}


@cache
def _takes(forward: Callable[..., Any], name: str) -> bool:
    """Return whether a model's *forward* takes *name*; cached, since there are many passes."""
    return name in inspect.signature(forward).parameters


def _readable(logits: Tensor) -> Tensor:
    """*logits* in no less than single precision."""
    return logits if logits.dtype == torch.float64 else logits.float()


AttentionInterface.register(PARTED, _attend)
AttentionMaskInterface.register(PARTED, sdpa_mask)
