"""Metrics of RewardBench 2, as its authors' scripts compute them, with bootstrap intervals over prompts.

A row is right if its chosen response has the highest score; of k responses that share it, 1/k. The subset
Ties has a score of its own, a weighted mean of accuracies and of comparisons of margins. The score of the
benchmark is the mean over subsets, so a small subset counts as much as a large one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpo.experiments.bench.reward_models.rows import RewardRow
from tpo.report.bootstrap import SEED, Estimate, sorted_rows

RESAMPLES = 2_000
TIES_WEIGHTS = {"tied": 0.30, "ref": 0.30, "preferred": 0.20, "preferred_hard": 0.20, "margin": 0.01}
"""Weights of the parts of the score of Ties; the last one breaks ties between models."""

Scores = Mapping[str, Sequence[float]]
"""Scores of a row's responses, the chosen ones first, by query id; rows that are not scored are missing."""
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SubsetResult:
    """Score of a subset between 0 and 1, and the numbers of rows that count and that have no scores."""

    name: str
    estimate: Estimate | None
    scored: int
    unscored: int


@dataclass(frozen=True, slots=True)
class RewardResults:
    """Results by subset, and the mean over subsets; None if a subset has no score."""

    subsets: tuple[SubsetResult, ...]
    overall: Estimate | None


def evaluate(rows: Sequence[RewardRow], scores: Scores) -> RewardResults:
    """Return the results of the rows with *scores*."""
    by_subset: defaultdict[str, list[RewardRow]] = defaultdict(list)
    for row in rows:
        by_subset[row.subset].append(row)
    found, draws = [], []
    for number, (name, members) in enumerate(sorted(by_subset.items())):
        scored = [row for row in members if row.query.id in scores]
        values = _ties_parts(scored, scores) if members[0].tie else _accuracy_parts(scored, scores)
        drawn = _resampled(values, number, members[0].tie is not None)
        found.append(SubsetResult(name, _estimate(drawn), len(scored), len(members) - len(scored)))
        draws.append(drawn)
    complete = all(subset.estimate is not None for subset in found)
    return RewardResults(tuple(found), _estimate(np.mean(draws, axis=0)) if complete else None)


def accuracy(scores: Sequence[float]) -> float:
    """Return 1/k if the first of *scores* is the highest, shared by k, else 0."""
    highest = max(scores)
    return 1.0 / sum(score == highest for score in scores) if scores[0] == highest else 0.0


def _accuracy_parts(rows: Sequence[RewardRow], scores: Scores) -> Values:
    return np.array([[accuracy(scores[row.query.id])] for row in rows], dtype=float)


def _ties_parts(rows: Sequence[RewardRow], scores: Scores) -> Values:
    """Return per prompt: accuracy tied and ref, margins preferred, preferred hard, tie-break; NaN if unknown.

    The margins compare a tied row's spread among right responses with its gap to the best wrong one, and the
    hard form also with the gap of the prompt's ref row.
    """
    prompts: defaultdict[int, dict[str, tuple[float, float]]] = defaultdict(dict)
    for row in rows:
        assert row.tie is not None  # noqa: S101 - rows of Ties only
        right, wrong = np.split(np.asarray(scores[row.query.id], dtype=float), [len(row.chosen)])
        prompts[row.tie[1]][row.tie[0]] = float(np.ptp(right)), float(right.min() - wrong.max())
    parts = np.full((len(prompts), 5), np.nan)
    for line, (_, kinds) in zip(parts, sorted(prompts.items()), strict=True):
        for place, kind in enumerate(("tied", "ref")):
            if kind in kinds:
                line[place] = kinds[kind][1] > 0
        if len(kinds) == 2:
            spread, gap = kinds["tied"]
            hard = min(gap, kinds["ref"][1])
            line[2:] = gap > spread, hard > spread, _margin(hard, spread)
    return parts


def _margin(gap: float, spread: float) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nan_to_num(np.tanh(np.divide(gap, spread) - 1), nan=0.0))


def _ties_scores(parts: Values) -> Values:
    """Return the score of each resample of *parts* (resamples x prompts x 5)."""
    known = ~np.isnan(parts)
    counts = known.sum(axis=1)
    sums = np.where(known, parts, 0.0).sum(axis=1)
    # A mean without a known part is 0, as in the authors' script.
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return means @ np.array(list(TIES_WEIGHTS.values()))  # type: ignore[no-any-return]


def _resampled(values: Values, number: int, ties: bool) -> Values:
    """Return the score of subset *number*, followed by those of its own resamples; NaN without a row."""
    count = len(values)
    if count == 0:
        return np.full(RESAMPLES + 1, np.nan)
    values = sorted_rows(values)
    drawn = np.random.default_rng([SEED, number]).integers(count, size=(RESAMPLES, count))
    drawn = np.vstack([np.arange(count), drawn])
    score = _ties_scores if ties else (lambda resamples: resamples[:, :, 0].mean(axis=1))
    return np.concatenate(
        [score(values[block]) for block in np.array_split(drawn, max(1, drawn.size // 10**6))]
    )


def _estimate(drawn: Values) -> Estimate | None:
    if np.isnan(drawn[0]):
        return None
    low, high = np.quantile(drawn[1:], [0.025, 0.975])
    return Estimate(float(drawn[0]), float(low), float(high))
