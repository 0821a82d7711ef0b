"""The first weights: random, with copying and looking up laid in.

A head in the first layer looks at the token before; the four heads of the second layer look for the place
where the present token stood before, and bring the token that followed it, each a quarter of it; a head in
each of the last two layers looks there, too. All of it is trained further. Without this, copying took more
than two million tokens to appear, and with one seed of two a gradient did not learn which lines to keep.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.model import Attention, Policy, Shape, rotary, turn

EMBEDDING_STD = 0.1
ALIKE = 0.8
"""Cosine of the embeddings of tokens that begin alike."""
MARK = 2.0
"""The value that every embedding has in the last dimension, so that a head can look by position alone."""


@torch.no_grad()
def new_policy(shape: Shape, seed: int, alike: Sequence[tuple[int, int]] = ()) -> Policy:
    """A policy with copy heads, the same for the same seed; the tokens of a pair in *alike* are similar."""
    torch.manual_seed(seed)
    policy = Policy(shape)
    for parameter in policy.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.5 / math.sqrt(parameter.shape[1]))
    for layer in policy.model.stack():
        layer.self_attn.o_proj.weight *= 0.3
        layer.mlp.down_proj.weight *= 0.3
    policy.model.embed_tokens.weight.copy_(torch.randn(shape.vocabulary, shape.width) * EMBEDDING_STD)
    for first, second in alike:
        weights = policy.model.embed_tokens.weight
        weights[second] = ALIKE * weights[first] + math.sqrt(1 - ALIKE**2) * weights[second]
    policy.model.embed_tokens.weight[:, -1] = MARK * EMBEDDING_STD
    slow = shape.head // 4
    content = torch.randn(2 * slow, shape.width) / math.sqrt(shape.width)
    content[:, -1] = 0
    store = torch.linalg.qr(torch.randn(shape.width, 2 * slow))[0]
    _look_back(policy, shape, content, store)
    for head in range(shape.heads):
        _induct(policy, shape, content, store, head)
    for layer in policy.model.stack()[3:]:
        _look_up(layer.self_attn, shape, content, store)
    return policy


def _rows(shape: Shape, head: int) -> slice:
    return slice(head * shape.head, (head + 1) * shape.head)


def _look_back(policy: Policy, shape: Shape, content: Tensor, store: Tensor) -> None:
    """Head 0 of layer 0 attends to the token before, and stores its content."""
    attention = policy.model.stack()[0].self_attn
    rows = _rows(shape, 0)
    for part in (attention.q_proj, attention.k_proj, attention.v_proj):
        part.weight[rows] = 0
    fast = torch.zeros(1, shape.head)
    fast[:, : shape.head // 8] = fast[:, shape.head // 2 :][:, : shape.head // 8] = 1.0
    cos, sin = rotary(2, shape.head, shape.theta)
    attention.q_proj.weight[rows, -1] = 4.5 * turn(fast, cos[1:], -sin[1:])[0]
    attention.k_proj.weight[rows, -1] = 2.0 * fast[0]
    attention.v_proj.weight[rows][: len(content)] = content
    attention.o_proj.weight[:, rows] = 0
    attention.o_proj.weight[:, rows][:, : len(content)] = 0.2 * store


def _look_up(attention: Attention, shape: Shape, content: Tensor, store: Tensor, head: int = 0) -> None:
    """A head that looks at what followed the present token where that stood before."""
    rows, slow = _rows(shape, head), shape.head // 4
    lanes = torch.cat((torch.arange(slow, 2 * slow), torch.arange(3 * slow, 4 * slow)))
    query, key = torch.zeros(shape.head, shape.width), torch.zeros(shape.head, shape.width)
    query[lanes], key[lanes] = 2.0 * content, 2.0 * store.T
    attention.q_proj.weight[rows], attention.k_proj.weight[rows] = query, key


def _induct(policy: Policy, shape: Shape, content: Tensor, store: Tensor, head: int) -> None:
    """A head that looks up what followed the present token, and brings its share of it."""
    attention = policy.model.stack()[1].self_attn
    _look_up(attention, shape, content, store, head)
    share = shape.width // shape.heads
    bring = torch.zeros(shape.head, shape.width)
    bring[torch.arange(share), torch.arange(head * share, (head + 1) * share)] = 1.0
    bring[:, -1] = 0
    attention.v_proj.weight[_rows(shape, head)] = bring
    attention.o_proj.weight[:, _rows(shape, head)] = 0.25 * bring.T
