"""Small models of many families: decoded as transformers' own ``generate`` decodes each prompt alone."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.families import CONFIGS, ORIGINAL, WINDOW, save_causal
from tpo.policies.local import HFPolicy
from tpo.policies.local.draw import Settings, draw
from tpo.types import Messages, Sampling, Scope, user

STATEFUL = {"qwen3_5", "qwen3_next", "lfm2", "jamba", "mamba", "mamba2", "rwkv"}
"""Families whose cache is more than keys and values: ``generate`` decodes them."""
LENGTHS = (0, 3, 9)
"""Prompts from 22 tokens to 60: within a window, across it and across LongRoPE's boundary."""
TOKENS = 16


def question(length: int) -> Messages:
    return (user("Dear Anna, " * length + str(length)),)


async def ask(policy: HFPolicy, length: int, **sampling: Any) -> list[str]:
    values: dict[str, Any] = {"n": 2, "max_tokens": TOKENS, "seed": 7} | sampling
    scope = Scope(str(length), 0, "sample")
    replies = [reply async for reply in policy.sample(question(length), Sampling(**values), scope)]
    return [reply.text for reply in sorted(replies, key=lambda reply: reply.index)]


def generated(model: Any, prompt: tuple[int, ...], ends: frozenset[int], **options: Any) -> list[int]:
    ids = torch.tensor([prompt])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=TOKENS,
        eos_token_id=sorted(ends),
        pad_token_id=0,
        **options,
    )
    tokens: list[int] = output[0, ids.shape[1] :].tolist()
    return tokens


@torch.inference_mode()
def drawn(model: Any, prompt: tuple[int, ...], ends: frozenset[int], seed: int) -> list[int]:
    """Sample token by token, each from a pass over the whole text."""
    luck, text, plain = np.random.default_rng(seed), list(prompt), Sampling()
    for _ in range(TOKENS):
        logits = model(input_ids=torch.tensor([text])).logits[:, -1].float()
        row = [torch.tensor([value]) for value in (plain.temperature, plain.top_p, luck.random())]
        text.append(int(draw(logits, Settings(*row)).tokens[0]))
        if text[-1] in ends:
            break
    return text[len(prompt) :]


@pytest.mark.parametrize("family", CONFIGS)
async def test_it_writes_what_transformers_writes(family: str, tmp_path: Path) -> None:
    policy = HFPolicy(save_causal(tmp_path, family), device="cpu")
    assert policy.batched == (family not in STATEFUL)
    model = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    chat = policy.chat
    ends = chat.turn_ends()
    together = await asyncio.gather(*(ask(policy, length, temperature=0.0) for length in LENGTHS))
    prompts = [tuple(chat.prompt_ids(question(length))) for length in LENGTHS]
    assert len(prompts[0]) < WINDOW < ORIGINAL < len(prompts[-1])
    assert [texts[0] for texts in together] == [chat.text(generated(model, one, ends)) for one in prompts]
    assert [texts[1] for texts in together] == [texts[0] for texts in together]
    sampled = await asyncio.gather(*(ask(policy, length) for length in LENGTHS))
    assert sampled == [await ask(policy, length) for length in LENGTHS]
    if family != "longrope":  # drawn() does not switch factors where generate does
        assert sampled[1][1] == chat.text(drawn(model, prompts[1], ends, 8))
