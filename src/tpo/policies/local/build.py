"""Choose at load how a checkpoint is decoded, and make its engines."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable
from typing import Any

import torch
from transformers import GenerationConfig

from tpo.errors import PolicyRefused
from tpo.inprocess.chat import ChatTokenizer
from tpo.inprocess.limits import uniform_length
from tpo.inprocess.loading import Checkpoint
from tpo.inprocess.worker import one_core, usable_cores
from tpo.policies.local.cache import slot_bytes
from tpo.policies.local.draw import SamplingOptions
from tpo.policies.local.engine import Engine
from tpo.policies.local.plain import PlainEngine
from tpo.policies.local.selftest import ADDED, FastOptions, Tokens, fast_options, plain_failure
from tpo.types import Messages, assistant, user

log = logging.getLogger(__name__)

NOISE = 1.5e-4
"""Assumed float32 error of a logit; it bounds how far cumulative probabilities move, which draws use.

A logit off by this much moves them by 1.1e-4 at temperature 0.7. Seen were 2.5e-5 (with an earlier embedded
policy 3.0e-5, and 6.2e-5 in conversations about what it does not know), although single logits moved by up to
2.0e-4 (benchmarks/float32_noise.py).
"""

MOST_REPLICAS = 4
"""Engines of a small model: the interpreter's lock leaves more of them nothing to gain."""

CPU_BUDGET = 16_384
"""Slots of a batch on a CPU: more gain nothing, since the cores are busy, and cost memory."""


def build_engines(
    checkpoint: Checkpoint, chat: ChatTokenizer, options: SamplingOptions, max_batch_tokens: int | None
) -> list[Any]:
    """Return engines that share the weights: one a core for a small model on a CPU, else one.

    A model that fails the self-test gets one that calls ``generate``.

    Raises:
        PolicyRefused: ``generate`` fails on the model as well, or it is no causal language model.
    """
    ends, texts = _ends(checkpoint, chat), _trial_texts(checkpoint, chat)
    _warn_unused(checkpoint, options)
    checkpoint.model.generation_config = GenerationConfig()  # generate would apply the rest of it unasked
    limit = uniform_length(checkpoint.config)
    with one_core() if checkpoint.is_small else contextlib.nullcontext():
        model, fast = _tried(checkpoint, texts, limit)
        failure = plain_failure(model, texts[-1]) if fast is None else None
    if failure is not None:
        raise PolicyRefused(f"{checkpoint.name}: {failure}")
    if fast is None:
        log.warning("%s: %s", checkpoint.name, SLOW)
        return [PlainEngine(model, ends, options=options, batched=checkpoint.dtype != torch.float32)]
    # One thread where length changes what the model computes: it does so for all threads at once.
    replicas = min(MOST_REPLICAS, usable_cores()) if checkpoint.is_small and limit is None else 1
    settings: dict[str, Any] = {
        "budget": max_batch_tokens or _room(checkpoint) // replicas,
        "padding": _worth_a_step(checkpoint),
        "arbiter": fast.arbiter,
        "noise": NOISE,
        "options": options,
        "side_by_side": fast.side_by_side,
        "together": fast.together,
        "limit": limit,
    }
    return [Engine(model, ends, **settings) for _ in range(replicas)]


SLOW = (
    "decoded by transformers' generate, since the batched engine does not reproduce this model's logits: "
    "correct, but slower; for speed serve it (vLLM, llama.cpp) and name the URL"
)
INEXACT = "float64 does not settle draws of this model at reasonable cost: texts may depend on concurrency"


def _tried(checkpoint: Checkpoint, texts: list[Tokens], limit: int | None) -> tuple[Any, FastOptions | None]:
    """Return the model to decode, and how the engine may do that, if it may.

    A small model whose distributions are so flat that an arbiter would decide many of its draws is decoded in
    double precision throughout.
    """
    model, arbiters = checkpoint.model, _arbiters(checkpoint)
    common: dict[str, Any] = {"limit": limit, "together": not checkpoint.spread, "noise": NOISE}
    fast = fast_options(model, texts, arbiters=arbiters, **common)
    if fast is None or fast.arbiter is not None or not arbiters:
        return model, fast
    if checkpoint.is_small:
        exact = copy.deepcopy(model).double()
        if (found := fast_options(exact, texts, arbiters=(), **common)) is not None:
            return exact, found
    log.warning("%s: %s", checkpoint.name, INEXACT)
    return model, fast


def _arbiters(checkpoint: Checkpoint) -> list[Callable[[], Any]]:
    """Return what may settle a doubtful draw: a small model in double precision, or the model itself."""
    if checkpoint.dtype != torch.float32:
        return []
    model = checkpoint.model
    return [*([lambda: copy.deepcopy(model).double()] if checkpoint.is_small else []), lambda: model]


def _trial_texts(checkpoint: Checkpoint, chat: ChatTokenizer) -> list[Tokens]:
    """Return a short and a long prompt for the self-test; plain token ids where the template refuses them."""
    asked = user("Write a short thank-you note to Maria for the flowers.")
    answer = assistant("Dear Maria, thank you so much for the beautiful flowers. Warmly, Tom")
    turns: list[Messages] = [(user("Hi"),), (asked, answer, user("Shorter, please."))]
    try:
        texts = [tuple(chat.prompt_ids(messages)) for messages in turns]
    except Exception:  # noqa: BLE001 - a template may refuse anything
        most = min(checkpoint.config.vocab_size, 1000)
        texts = [tuple(at * 7 % most for at in range(count)) for count in (8, 60)]
    return [text[: max(2, checkpoint.context - ADDED)] for text in texts]


def _warn_unused(checkpoint: Checkpoint, options: SamplingOptions) -> None:
    """Say which sampling options the model's files suggest that nobody has set."""
    neutral, stated = SamplingOptions(), checkpoint.model.generation_config
    unused = [
        f"{name} {value}"
        for name in ("top_k", "min_p", "repetition_penalty")
        if (value := getattr(stated, name, None)) is not None
        and value != getattr(neutral, name) == getattr(options, name)
    ]
    if unused:
        suggestion = f"its generation_config.json suggests {', '.join(unused)}"
        log.warning("%s: %s, which is not used unless set", checkpoint.name, suggestion)


def _ends(checkpoint: Checkpoint, chat: ChatTokenizer) -> frozenset[int]:
    """Every token that ends an answer: the generation settings', the model's own, the template's."""
    found: set[int | None] = set(chat.turn_ends())
    for settings in (checkpoint.model.generation_config, checkpoint.config):
        stated = getattr(settings, "eos_token_id", None)
        found |= set(stated if isinstance(stated, list) else [stated])
    return frozenset(token for token in found if token is not None)


def _room(checkpoint: Checkpoint) -> int:
    """Slots that half of the free memory holds on a graphics card; a fixed number elsewhere."""
    if checkpoint.device.type != "cuda":
        return CPU_BUDGET
    free, _ = torch.cuda.mem_get_info(checkpoint.device)
    return max(2_048, min(262_144, int(free) // 2 // slot_bytes(checkpoint.config, checkpoint.dtype)))


def _worth_a_step(checkpoint: Checkpoint) -> int:
    """Slots that are read in the time that the weights take, twice, since a step costs more than they do."""
    weights = checkpoint.parameters * checkpoint.dtype.itemsize
    return int(2 * weights // slot_bytes(checkpoint.config, checkpoint.dtype))
