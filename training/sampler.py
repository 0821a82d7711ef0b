"""Sampling for training and evaluation: many prompts at once, each read once however many replies it gets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from training.model import Policy, rotary
from training.tokenizer import Encoder

LIKELIEST = 64
"""Tokens that are drawn from; at top-p 0.95 the others matter only where nearly nothing is known."""
CROWDED = 0.7
"""Share of live rows under which the others leave the batch."""


class Sampler:
    """Draws replies to encoded prompts at the loop's usual temperature and top-p."""

    def __init__(self, policy: Policy, encoder: Encoder, rows: int = 160) -> None:
        self.policy, self.encoder, self.rows = policy, encoder, rows

    def draw(self, prompts: Sequence[Sequence[int]], limit: int = 200, temperature: float = 0.7) -> list[str]:
        """One reply for each of *prompts*; a prompt may stand there several times."""
        order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), tuple(prompts[index])))
        replies = [""] * len(prompts)
        for start in range(0, len(order), self.rows):
            chunk = order[start : start + self.rows]
            drawn = self._batch([tuple(prompts[index]) for index in chunk], limit, temperature)
            for index, reply in zip(chunk, drawn, strict=True):
                replies[index] = self.encoder.decode(reply)
        return replies

    @torch.inference_mode()
    def _batch(self, prompts: list[tuple[int, ...]], limit: int, temperature: float) -> list[list[int]]:
        distinct = list(dict.fromkeys(prompts))
        owner = torch.tensor([distinct.index(prompt) for prompt in prompts])
        cache, logits = _Cache.read(self.policy, distinct, limit, self.encoder.pad)
        cache, logits = cache.only(owner), logits[owner]
        replies: list[list[int]] = [[] for _ in prompts]
        rows, alive = torch.arange(len(prompts)), torch.ones(len(prompts), dtype=torch.bool)
        for _ in range(limit):
            tokens = _choose(logits, temperature)
            alive = alive & (tokens != self.encoder.eot)
            for row, token in zip(rows[alive].tolist(), tokens[alive].tolist(), strict=True):
                replies[row].append(token)
            if not alive.any():
                break
            if alive.float().mean() < CROWDED:  # shrinking copies the cache
                rows, tokens, cache = rows[alive], tokens[alive], cache.only(alive.nonzero()[:, 0])
                alive = alive[alive]
            logits = cache.step(tokens)
        return replies


def _choose(logits: Tensor, temperature: float, top_p: float = 0.95) -> Tensor:
    shares, tokens = torch.softmax(logits / temperature, -1).topk(LIKELIEST, -1)
    shares[shares.cumsum(-1) - shares > top_p] = 0
    chosen = torch.multinomial(shares, 1)
    return tokens.gather(-1, chosen)[:, 0]


class _Cache:
    """Keys and values of every layer, with room for what is still to come.

    Prompts are padded on the left. Rotary positions matter only by their differences, so padded rows need
    none of their own.
    """

    def __init__(self, policy: Policy, seen: Tensor, keys: Tensor, values: Tensor, length: int) -> None:
        self.policy, self.seen, self.keys, self.values, self.length = policy, seen, keys, values, length

    @classmethod
    def read(
        cls, policy: Policy, prompts: list[tuple[int, ...]], limit: int, pad: int
    ) -> tuple[_Cache, Tensor]:
        """The cache of *prompts*, and the logits of the token that comes next in each."""
        width, shape = max(map(len, prompts)), policy.model.shape
        tokens = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts])
        seen = torch.tensor([[False] * (width - len(p)) + [True] * (len(p) + limit) for p in prompts])
        size = (shape.layers, len(prompts), shape.heads, width + limit, shape.head)
        cache = cls(policy, seen, torch.zeros(size), torch.zeros(size), 0)
        causal = torch.ones(width, width, dtype=torch.bool).tril()
        mask = (causal & seen[:, None, :width]) | torch.eye(width, dtype=torch.bool)
        return cache, cache._forward(tokens, mask[:, None])

    def only(self, rows: Tensor) -> _Cache:
        """The cache of *rows*, which may stand there several times."""
        return _Cache(self.policy, self.seen[rows], self.keys[:, rows], self.values[:, rows], self.length)

    def step(self, tokens: Tensor) -> Tensor:
        """The logits after one more token a row."""
        return self._forward(tokens[:, None], self.seen[:, None, None, : self.length + 1])

    def _forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        trunk, shape = self.policy.model, self.policy.model.shape
        start, end = self.length, self.length + tokens.shape[1]
        cos, sin = (part[start:end] for part in rotary(end, shape.head, shape.theta))
        x = functional.embedding(tokens, trunk.embed_tokens.weight)
        for index, layer in enumerate(trunk.stack()):
            inner = layer.input_layernorm(x)
            query, key, value = layer.self_attn.project(inner, cos, sin)
            self.keys[index, :, :, start:end], self.values[index, :, :, start:end] = key, value
            known = self.keys[index, :, :, :end], self.values[index, :, :, :end]
            mixed = functional.scaled_dot_product_attention(query, *known, attn_mask=mask)
            x = x + layer.self_attn.o_proj(mixed.transpose(1, 2).flatten(2))
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        self.length = end
        return self.policy.logits(trunk.norm(x[:, -1]))
