"""The one number that a classifier gives a conversation, whatever its head calls it.

Transformers' own classifiers give ``logits``, one column for their one label. Reward models with a head of
their own, such as ArmoRM and QRM, give ``score``: one number that a gate made of many objectives, which stand
beside it. Others give a bare tensor, or a tuple that begins with one.
"""

from __future__ import annotations

from typing import Any

from tpo.errors import RewardRefused

SHAPES = "a reward model gives each conversation one number, as output.score or output.logits"


def one_label(model: Any, name: str) -> None:
    """Refuse a classifier of transformers' own that has not just one label.

    Raises:
        RewardRefused: it has several, or none.
    """
    labels = model.config.num_labels
    if labels != 1:
        raise RewardRefused(f"{name}: a reward model has one label, this one has {labels} labels")


def raw_scores(output: Any, count: int, name: str) -> Any:
    """The tensor of *count* numbers in a model's *output*.

    Raises:
        RewardRefused: there is none.
    """
    values = _values(output)
    shape = tuple(getattr(values, "shape", ()))
    if values is None or not hasattr(values, "numel"):
        raise RewardRefused(f"{name}: {SHAPES}; this one gives {type(output).__name__} without either")
    if values.numel() != count:
        raise RewardRefused(f"{name}: {SHAPES}; this one gives numbers of shape {shape} for {count}")
    return values.reshape(count)


def _values(output: Any) -> Any:
    for field in ("score", "logits"):
        if getattr(output, field, None) is not None:
            return getattr(output, field)
    return output[0] if isinstance(output, tuple) and output else output
