"""Batches of a few fixed shapes, so that little is padded and a compiled step stays compiled."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from training.protocol import Protocol
from training.tokenizer import Encoder

LENGTHS = (112, 224, 288, 352, 416, 576)
"""Longer dialogues are left out; there are next to none."""


@dataclass(frozen=True)
class Batch:
    """Right-padded *tokens* of shape (rows, length), and their weights in the loss (0: given)."""

    tokens: Tensor
    taught: Tensor


def _stack(rows: list[tuple[list[int], list[float]]], length: int, pad: int) -> Batch:
    tokens = torch.full((len(rows), length), pad)
    taught = torch.zeros((len(rows), length))
    for index, (ids, mask) in enumerate(rows):
        tokens[index, : len(ids)] = torch.tensor(ids)
        taught[index, : len(ids)] = torch.tensor(mask)
    return Batch(tokens, taught)


class Batches:
    """Sorts what a protocol draws into lengths; a length with enough rows for *budget* tokens is a batch."""

    def __init__(self, encoder: Encoder, budget: int, rng: random.Random) -> None:
        self.encoder, self.budget, self.rng = encoder, budget, rng
        self._waiting: dict[int, list[tuple[list[int], list[float]]]] = {length: [] for length in LENGTHS}

    def draw(self, protocol: Protocol) -> Batch:
        """The next full batch."""
        while True:
            ids, mask = self.encoder.dialogue(protocol.draw(self.rng))
            length = next((length for length in LENGTHS if len(ids) <= length), None)
            if length is None:
                continue
            rows = self._waiting[length]
            rows.append((ids, mask))
            if len(rows) == self.budget // length:
                self._waiting[length] = []
                return _stack(rows, length, self.encoder.pad)


def repeats(budget: int, vocabulary: int, rng: torch.Generator, length: int = 128) -> Batch:
    """Random tokens that come twice; the second half is to be predicted."""
    half = torch.randint(5, vocabulary, (budget // length, length // 2), generator=rng)
    taught = torch.zeros((len(half), length))
    taught[:, length // 2 + 1 :] = 1.0
    return Batch(torch.cat((half, half), 1), taught)
