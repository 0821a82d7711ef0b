"""Batches of dialogues of similar length, so that little is padded."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from training.protocol import Protocol
from training.tokenizer import Encoder

LONGEST = 1152
"""Longer dialogues are left out; there are next to none."""
AHEAD = 8
"""Batches that are drawn at once and sorted by length."""


@dataclass(frozen=True)
class Batch:
    """Right-padded *tokens* of shape (rows, length), their weights in the loss (0: given), and marks."""

    tokens: Tensor
    taught: Tensor
    marks: Tensor


Row = tuple[list[int], list[float], list[int]]


def stack(rows: list[Row], pad: int) -> Batch:
    """Pad *rows* on the right to one length."""
    columns = ([torch.tensor(column) for column in part] for part in zip(*rows, strict=True))
    fills = zip(columns, (pad, 0, 0), strict=True)
    return Batch(*(pad_sequence(part, batch_first=True, padding_value=fill) for part, fill in fills))


def pad(rows: list[list[int]], filler: int) -> tuple[Tensor, Tensor]:
    """Right-padded rows and their true lengths."""
    tokens = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=filler)
    return tokens, torch.tensor([len(row) for row in rows])


class Batches:
    """Draws dialogues of a protocol, sorts some thousands of tokens by length, and cuts them into batches."""

    def __init__(self, encoder: Encoder, budget: int, rng: random.Random, disputed: float) -> None:
        self.encoder, self.budget, self.rng, self.disputed = encoder, budget, rng, disputed
        self._ready: list[Batch] = []

    def draw(self, protocol: Protocol) -> Batch:
        """The next batch of at most *budget* tokens."""
        if not self._ready:
            self._fill(protocol)
        return self._ready.pop()

    def _fill(self, protocol: Protocol) -> None:
        rows: list[Row] = []
        while sum(len(row[0]) for row in rows) < AHEAD * self.budget:
            ids, weights = self.encoder.dialogue(protocol.draw(self.rng), self.disputed)
            if len(ids) <= LONGEST:
                rows.append((ids, weights, self.encoder.marks(ids)))
        rows.sort(key=lambda row: len(row[0]))
        batch: list[Row] = []
        for row in rows:
            if batch and (len(batch) + 1) * len(row[0]) > self.budget:
                self._ready.append(stack(batch, self.encoder.pad))
                batch = []
            batch.append(row)
        self.rng.shuffle(self._ready)


def repeats(budget: int, vocabulary: int, rng: torch.Generator, length: int = 128) -> Batch:
    """Random tokens that come twice; the second half is to be predicted."""
    half = torch.randint(5, vocabulary, (budget // length, length // 2), generator=rng)
    taught = torch.zeros((len(half), length))
    taught[:, length // 2 + 1 :] = 1.0
    return Batch(torch.cat((half, half), 1), taught, torch.zeros((len(half), length), dtype=torch.long))
