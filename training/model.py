"""The Llama architecture in short, named and shaped so that its weights load in transformers unchanged."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """The sizes of a model."""

    vocabulary: int = 1536
    width: int = 192
    layers: int = 5
    heads: int = 4
    head: int = 64
    """Width of one attention head; all of them together may be wider than the stream."""
    hidden: int = 384
    theta: float = 100_000.0
    epsilon: float = 1e-5


def rotary(length: int, head: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every position's angles, each of shape (length, head)."""
    angles = torch.outer(torch.arange(length).float(), theta ** -(torch.arange(0, head, 2).float() / head))
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the halves of each head in *x* by its position."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


class Norm(nn.Module):
    """Root-mean-square normalisation with a learned gain."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.width))
        self.epsilon = shape.epsilon

    def forward(self, x: Tensor) -> Tensor:
        """*x* at unit scale, times the gain."""
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight.float()


class Attention(nn.Module):
    """Causal attention over a whole sequence, or over a cache and one new token."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.head = shape.heads, shape.head
        inner = shape.heads * shape.head
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(shape.width, inner, bias=False) for _ in range(3))
        self.o_proj = nn.Linear(inner, shape.width, bias=False)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of shape (batch, heads, length, head)."""
        size = (*x.shape[:2], self.heads, self.head)
        query, key, value = (
            part(x).view(size).transpose(1, 2) for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        return turn(query, cos, sin), turn(key, cos, sin), value

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """What each token of *x* gathers from those before it."""
        mixed = functional.scaled_dot_product_attention(*self.project(x, cos, sin), is_causal=True)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """The gated feed-forward part of a layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(shape.width, shape.hidden, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Token by token."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    """Attention, then feed-forward, each added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm, self.self_attn = Norm(shape), Attention(shape)
        self.post_attention_layernorm, self.mlp = Norm(shape), Mlp(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """The stream after this layer."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        stream: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return stream


class Trunk(nn.Module):
    """Embedding, layers and last norm: what policy and reward share."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape)

    def stack(self) -> list[Layer]:
        """The layers, as what they are."""
        return [cast(Layer, layer) for layer in self.layers]

    def streams(self, tokens: Tensor) -> list[Tensor]:
        """The stream after each layer, of shape (batch, length, width)."""
        x = functional.embedding(tokens, self.embed_tokens.weight)
        cos, sin = rotary(tokens.shape[1], self.shape.head, self.shape.theta)
        streams = []
        for layer in self.layers:
            x = layer(x, cos, sin)
            streams.append(x)
        return streams

    def forward(self, tokens: Tensor) -> Tensor:
        """The last hidden states of *tokens*, of shape (batch, length, width)."""
        hidden: Tensor = self.norm(self.streams(tokens)[-1])
        return hidden


class Verdicts(nn.Module):
    """Read from inside whether a detail is the one asked for: a help in training, not part of the model."""

    LAYERS = (2, 3)

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm = Norm(shape)
        self.heads = nn.ModuleList(nn.Linear(shape.width, 1) for _ in self.LAYERS)

    def forward(self, streams: list[Tensor], marks: Tensor) -> Tensor:
        """Cross entropy of the verdicts; *marks* has 1 for right and 2 for wrong details, 0 elsewhere."""
        chosen = marks > 0
        wrong = (marks[chosen] == 2).float()
        logits = [
            head(self.norm(streams[layer][chosen])).squeeze(-1)
            for head, layer in zip(self.heads, self.LAYERS, strict=True)
        ]
        return torch.stack([functional.binary_cross_entropy_with_logits(x, wrong) for x in logits]).mean()


class Policy(nn.Module):
    """The causal language model; its head is its embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = Trunk(shape)
        self.verdicts = Verdicts(shape)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of every next token."""
        return functional.linear(hidden, self.model.embed_tokens.weight)

    def losses(self, tokens: Tensor, taught: Tensor, marks: Tensor) -> tuple[Tensor, Tensor]:
        """Cross entropy of the taught tokens, averaged by their weights, and that of the verdicts."""
        chosen = taught[:, 1:] > 0
        streams = self.model.streams(tokens)
        hidden, weights = self.model.norm(streams[-1][:, :-1][chosen]), taught[:, 1:][chosen]
        errors = functional.cross_entropy(self.logits(hidden), tokens[:, 1:][chosen], reduction="none")
        verdicts = self.verdicts(streams, marks) if bool(marks.any()) else errors.new_zeros(())
        return (errors * weights).sum() / weights.sum(), verdicts


def sharpened(policy: Policy, factor: float) -> Policy:
    """A copy of *policy* with logits *factor* times as large: it samples as if it were colder."""
    copied = copy.deepcopy(policy)
    with torch.no_grad():
        copied.model.norm.weight.mul_(factor)
    return copied


class Reward(nn.Module):
    """The trunk with one number read at a sequence's last token."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = Trunk(shape)
        self.score = nn.Linear(shape.width, 1, bias=False)
        nn.init.normal_(self.score.weight, std=0.02)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """The reward of each of the right-padded rows of *tokens*."""
        hidden = self.model(tokens)[torch.arange(len(tokens)), lengths - 1]
        score: Tensor = self.score(hidden).squeeze(-1)
        return score
