"""Preference pairs: the choice of two responses from a query's pool."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from types import MappingProxyType

from tpo.errors import ConfigError
from tpo.export.eligible import EVERYTHING, Eligible, is_blank
from tpo.methods.contrast import contrast
from tpo.types import Candidate, Trajectory


@dataclass(frozen=True, slots=True)
class Preference:
    """Two different responses to one query, the chosen one of the higher reward."""

    chosen: Candidate
    rejected: Candidate

    @property
    def margin(self) -> float:
        """Difference of the two rewards."""
        return self.chosen.reward - self.rejected.reward

    @property
    def length_ratio(self) -> float:
        """Length of the longer text divided by that of the shorter one, whichever is chosen."""
        shorter, longer = sorted((len(self.chosen.text), len(self.rejected.text)))
        return longer / shorter if shorter else math.inf


@dataclass(frozen=True, slots=True)
class Pairing:
    """Rule by which pairs are formed and kept.

    Args:
        choice: ``best-worst``: the best and the worst response, as a step of the method contrasts them;
            ``best-first``: the best one and the first sample, which is what the policy would have answered;
            ``all``: each two responses of different rewards.
        min_margin: the least difference of their rewards; equal rewards never make a pair.
        max_length_ratio: how many times as long as the shorter text the longer one may be; None: any.
        eligible: which responses may stand in a pair; the first sample of ``best-first`` may be of any step.

    Raises:
        ConfigError: a value is out of its range.
    """

    choice: str = "best-worst"
    min_margin: float = 0.0
    max_length_ratio: float | None = None
    eligible: Eligible = EVERYTHING

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise ConfigError(f"--pairs is one of {', '.join(CHOICES)}, not {self.choice!r}")
        if not (math.isfinite(self.min_margin) and self.min_margin >= 0):
            raise ConfigError(f"--min-margin must be a number from 0 on, not {self.min_margin}")
        if self.max_length_ratio is not None and not self.max_length_ratio >= 1:
            raise ConfigError(f"--max-length-ratio must be 1 or more, not {self.max_length_ratio}")

    def pairs(self, trajectory: Trajectory) -> Iterator[Preference]:
        """Yield the pairs of *trajectory*, no two of the same texts."""
        seen = set()
        for chosen, rejected in CHOICES[self.choice](trajectory, self.eligible):
            pair = Preference(chosen, rejected)
            texts = (chosen.text, rejected.text)
            if texts not in seen and self._keeps(pair):
                seen.add(texts)
                yield pair

    def _keeps(self, pair: Preference) -> bool:
        if pair.chosen.text == pair.rejected.text or is_blank(pair.chosen):
            return False
        if not pair.margin > 0 or pair.margin < self.min_margin:
            return False
        return self.max_length_ratio is None or pair.length_ratio <= self.max_length_ratio


Two = tuple[Candidate, Candidate]


def _best_worst(trajectory: Trajectory, eligible: Eligible) -> Iterator[Two]:
    pool = eligible.of(trajectory.pool)
    if pool:
        pair = contrast(pool)
        if pair.rejected is not None:
            yield pair.chosen, pair.rejected


def _best_first(trajectory: Trajectory, eligible: Eligible) -> Iterator[Two]:
    best = max(eligible.of(trajectory.pool), key=lambda c: c.reward, default=None)
    first = min(trajectory.initial, key=lambda c: c.index, default=None)
    if best is not None and first is not None and eligible.short(first):
        yield best, first


def _all(trajectory: Trajectory, eligible: Eligible) -> Iterator[Two]:
    """Each two in both orders: the one with the margin is kept."""
    yield from permutations(eligible.of(trajectory.pool), 2)


CHOICES: Mapping[str, Callable[[Trajectory, Eligible], Iterator[Two]]] = MappingProxyType(
    {"best-worst": _best_worst, "best-first": _best_first, "all": _all}
)

BEST_WORST = Pairing()
"""The best response against the worst, however small the margin."""
