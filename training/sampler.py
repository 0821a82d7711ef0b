"""Sampling for training and evaluation: many prompts at once through transformers' own generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from training.export import as_causal_lm
from training.model import Policy
from training.tokenizer import Encoder


class Sampler:
    """Draws replies to encoded prompts at the loop's usual temperature."""

    def __init__(self, model: Any, encoder: Encoder, rows: int = 128) -> None:
        self.model, self.encoder, self.rows = model, encoder, rows

    @classmethod
    def of(cls, policy: Policy, encoder: Encoder) -> Sampler:
        """A sampler for a policy in training."""
        return cls(as_causal_lm(policy, encoder.tokenizer), encoder)

    def draw(self, prompts: Sequence[Sequence[int]], limit: int = 200, temperature: float = 0.7) -> list[str]:
        """One reply for each of *prompts*; a prompt may stand there several times."""
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        replies = [""] * len(prompts)
        for start in range(0, len(order), self.rows):
            chunk = order[start : start + self.rows]
            for index, reply in zip(
                chunk, self._batch([prompts[i] for i in chunk], limit, temperature), strict=True
            ):
                replies[index] = reply
        return replies

    @torch.inference_mode()
    def _batch(self, prompts: list[Sequence[int]], limit: int, temperature: float) -> list[str]:
        width = max(map(len, prompts))
        pad, eot = self.encoder.pad, self.encoder.eot
        tokens = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        drawn = self.model.generate(
            tokens, attention_mask=mask, do_sample=True, temperature=temperature, top_p=0.95, top_k=0,
            max_new_tokens=limit, pad_token_id=pad, eos_token_id=eot,
        )  # fmt: skip
        return [self.encoder.decode(row[width:].tolist()) for row in drawn]
