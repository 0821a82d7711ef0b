"""Sampling of each row's next token, and a check whether rounding noise could have changed it.

A row's draw is the inverse of the cumulative distribution at one uniform number, which comes from the row's
own generator. The distribution is the softmax at the row's temperature, cut to its nucleus: the most probable
tokens, until they hold *top_p* together (Holtzman et al. 2020, arXiv 1904.09751). Tokens stand in the order
of their ids, so that two that are about equally probable cannot change places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tpo.errors import ConfigError

SHORTLIST = 64
"""Tokens that are looked at first: a nucleus is seldom larger, and sorting a whole vocabulary is slow."""


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Sampling options that all rows of a policy share, with the meaning that they have in transformers.

    *top_k*: the number of most probable tokens to draw from; 0 for all. *min_p*: the least probability to
    draw, as a share of the most probable token's. *repetition_penalty*: what the logits of tokens that
    occurred are divided by (multiplied, where negative); at temperature 0 too.

    Raises:
        ConfigError: a value is outside its range.
    """

    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.top_k < 0:
            raise ConfigError(f"top_k is {self.top_k}; it must be at least 0 (0: all tokens)")
        if not 0 <= self.min_p <= 1:
            raise ConfigError(f"min_p is {self.min_p}; it must lie between 0 and 1")
        if not self.repetition_penalty > 0:
            raise ConfigError(f"repetition_penalty is {self.repetition_penalty}; it must be above 0")


PLAIN = SamplingOptions()


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


def penalized(logits: Tensor, texts: Sequence[Sequence[int]], penalty: float) -> Tensor:
    """Return *logits* (rows, vocabulary) in which tokens of each row's text are made less likely."""
    changed = logits.clone()
    for row, text in zip(changed, texts, strict=True):
        ids = torch.tensor(sorted(set(text)), device=logits.device)
        row[ids] = torch.where(row[ids] < 0, row[ids] * penalty, row[ids] / penalty)
    return changed


def draw(logits: Tensor, settings: Settings, noise: float = 0.0, options: SamplingOptions = PLAIN) -> Drawn:
    """Draw from *logits* (rows, vocabulary) once a row.

    *noise* bounds by how much each logit may be off; 0 asks for no doubts. It moves a cumulative probability
    c by at most 2 c (1 - c) times itself over the temperature, that is by half of it over the temperature.
    """
    chosen, doubtful = _most_probable(logits, noise)
    drawing = (settings.temperature > 0).nonzero()[:, 0]
    if len(drawing):
        part = settings.only(drawing)
        kept, unsure = _top_k(logits[drawing], options.top_k, noise)
        scaled = kept.to(part.uniform.dtype) / part.temperature[:, None]
        drawn = _from_nucleus(torch.softmax(scaled, -1), part, noise / part.temperature / 2, options.min_p)
        chosen[drawing], doubtful[drawing] = drawn.tokens, drawn.doubtful | unsure
    return Drawn(chosen, doubtful)


def _top_k(logits: Tensor, count: int, noise: float) -> tuple[Tensor, Tensor]:
    """Return *logits* without all but the best *count* of each row, and whether noise could change which."""
    if not 0 < count < logits.shape[-1]:
        return logits, torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    best = logits.topk(count + 1).values
    kept = logits.masked_fill(logits < best[:, count - 1 : count], -torch.inf)
    return kept, best[:, count - 1] - best[:, count] < 2 * noise


def _most_probable(logits: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    best, ids = logits.topk(min(2, logits.shape[-1]))
    return ids[:, 0].clone(), best[:, 0] - best[:, -1] < 2 * noise


def _from_nucleus(probabilities: Tensor, settings: Settings, noise: Tensor, min_p: float) -> Drawn:
    """Rows whose nucleus the shortlist holds are drawn from it, the others from all tokens."""
    vocabulary = probabilities.shape[-1]
    short = min(SHORTLIST, vocabulary)
    drawn, held = _from_best(probabilities, short, settings, noise, min_p)
    if short < vocabulary and not held.all():
        rest = (~held).nonzero()[:, 0]
        full, _ = _from_best(probabilities[rest], vocabulary, settings.only(rest), noise[rest], min_p)
        drawn.tokens[rest], drawn.doubtful[rest] = full.tokens, full.doubtful
    return drawn


def _from_best(
    probabilities: Tensor, count: int, settings: Settings, noise: Tensor, min_p: float
) -> tuple[Drawn, Tensor]:
    """Draw from the nucleus within the best *count* tokens; and whether they hold it, a row each."""
    best, ids = probabilities.topk(count)
    total = best.cumsum(-1)
    top_p, least = settings.top_p[:, None], min_p * best[:, :1]
    inside = (total - best < top_p) & (best >= least)
    size = inside.sum(-1, keepdim=True)
    ids, order = torch.where(inside, ids, probabilities.shape[-1]).sort(-1)
    mass = torch.where(inside, best, 0).gather(-1, order).cumsum(-1)
    target = settings.uniform[:, None] * mass[:, -1:]
    place = (mass <= target).sum(-1, keepdim=True).minimum(size - 1)
    # Twice: tokens too light to be looked at one by one may come or go as well.
    doubtful = (mass - target).abs().amin(-1) < 2 * noise
    doubtful |= _edge_unsure(best, total, size, top_p, noise)
    doubtful |= ((best - least).abs() < 4 * noise[:, None] * best).any(-1)
    complete = (total[:, -1] >= settings.top_p + noise) | (best[:, -1] < least[:, 0])
    return Drawn(ids.gather(-1, place)[:, 0], doubtful), complete & (size[:, 0] < count)


def _edge_unsure(best: Tensor, total: Tensor, size: Tensor, top_p: Tensor, noise: Tensor) -> Tensor:
    """Return whether noise could move a token of any weight into the nucleus or out of it."""
    noise = noise[:, None]
    crossing = (((total - best - top_p).abs() < noise) & (best > noise)).any(-1)
    last = best.gather(-1, size - 1)
    following = best.gather(-1, size.clamp(max=best.shape[-1] - 1))
    alike = (last - following < 4 * noise * last) & (following > noise) & (size < best.shape[-1])
    return crossing | alike[:, 0]
