"""How the next token of each row is drawn, and whether a breath of noise could have changed it.

A row's draw is the inverse of the cumulative distribution at one uniform number, which comes from the row's
own generator. The distribution is the softmax at the row's temperature, cut to its nucleus: the most probable
tokens, until they hold *top_p* together (Holtzman et al. 2020, arXiv 1904.09751). Tokens stand in the order
of their ids, so that two that are about equally probable cannot change places.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SHORTLIST = 64
"""Tokens that are looked at first: a nucleus is seldom larger, and sorting a whole vocabulary is slow."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One entry a row: temperature (0: the most probable token), top_p, and the uniform number in [0, 1)."""

    temperature: Tensor
    top_p: Tensor
    uniform: Tensor

    def only(self, rows: Tensor) -> Settings:
        """Those of *rows*."""
        return Settings(self.temperature[rows], self.top_p[rows], self.uniform[rows])


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token id a row, and whether logits off by the given noise could have given another."""

    tokens: Tensor
    doubtful: Tensor


def draw(logits: Tensor, settings: Settings, noise: float = 0.0) -> Drawn:
    """Draw from *logits* (rows, vocabulary) once a row.

    *noise* bounds by how much each logit may be off; 0 asks for no doubts. It moves a cumulative probability
    c by at most 2 c (1 - c) times itself over the temperature, that is by half of it over the temperature.
    """
    chosen, doubtful = _most_probable(logits, noise)
    drawing = (settings.temperature > 0).nonzero()[:, 0]
    if len(drawing):
        part = settings.only(drawing)
        scaled = logits[drawing].to(part.uniform.dtype) / part.temperature[:, None]
        drawn = _from_nucleus(torch.softmax(scaled, -1), part, noise / part.temperature / 2)
        chosen[drawing], doubtful[drawing] = drawn.tokens, drawn.doubtful
    return Drawn(chosen, doubtful)


def _most_probable(logits: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    best, ids = logits.topk(min(2, logits.shape[-1]))
    return ids[:, 0].clone(), best[:, 0] - best[:, -1] < 2 * noise


def _from_nucleus(probabilities: Tensor, settings: Settings, noise: Tensor) -> Drawn:
    """Rows whose nucleus the shortlist holds are drawn from it, the others from all tokens."""
    vocabulary = probabilities.shape[-1]
    short = min(SHORTLIST, vocabulary)
    drawn, held = _from_best(probabilities, short, settings, noise)
    if short < vocabulary and not held.all():
        rest = (~held).nonzero()[:, 0]
        full, _ = _from_best(probabilities[rest], vocabulary, settings.only(rest), noise[rest])
        drawn.tokens[rest], drawn.doubtful[rest] = full.tokens, full.doubtful
    return drawn


def _from_best(probabilities: Tensor, count: int, settings: Settings, noise: Tensor) -> tuple[Drawn, Tensor]:
    """Draw from the nucleus within the best *count* tokens; and whether they hold it, a row each."""
    best, ids = probabilities.topk(count)
    total = best.cumsum(-1)
    top_p = settings.top_p[:, None]
    inside = total - best < top_p
    size = inside.sum(-1, keepdim=True)
    ids, order = torch.where(inside, ids, probabilities.shape[-1]).sort(-1)
    mass = torch.where(inside, best, 0).gather(-1, order).cumsum(-1)
    target = settings.uniform[:, None] * mass[:, -1:]
    place = (mass <= target).sum(-1, keepdim=True).minimum(size - 1)
    # Twice: tokens too light to be looked at one by one may come or go as well.
    doubtful = (mass - target).abs().amin(-1) < 2 * noise
    doubtful |= _edge_unsure(best, total, size, top_p, noise)
    held = (total[:, -1] >= settings.top_p + noise) & (size[:, 0] < count)
    return Drawn(ids.gather(-1, place)[:, 0], doubtful), held


def _edge_unsure(best: Tensor, total: Tensor, size: Tensor, top_p: Tensor, noise: Tensor) -> Tensor:
    """Whether noise could let a token of any weight into the nucleus, or out of it."""
    noise = noise[:, None]
    crossing = (((total - best - top_p).abs() < noise) & (best > noise)).any(-1)
    last = best.gather(-1, size - 1)
    following = best.gather(-1, size.clamp(max=best.shape[-1] - 1))
    alike = (last - following < 4 * noise * last) & (following > noise) & (size < best.shape[-1])
    return crossing | alike[:, 0]
