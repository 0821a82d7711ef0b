"""Win rate of games, as computed by Arena-Hard's authors.

Version 0.1 fits a Bradley-Terry model to the battles and reports the probability to win against the baseline.
With one opponent the maximum likelihood has a closed form, the share of battles won with ties as half a win,
so no fit is needed and the number is the same. Version 2.0 reports this share as the mean of unseeded
resamples, which differs from it only by noise.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import fmean, quantiles

from tpo.experiments.bench.graders.base import Grade, GradedAnswer, Metric
from tpo.experiments.bench.graders.metrics import mean_metric, scores_by_query
from tpo.experiments.bench.pairwise.verdict import Games

ROUNDS = 100
"""Number of resamples of the authors' interval."""
SEED = 7


def win_rate(
    name: str, graded: Sequence[GradedAnswer], *, tail: float, by: str = "", note: str = ""
) -> Metric:
    """Return the share of battles won, in percent, with two intervals.

    The metric's interval is the 95% bootstrap interval over queries, as everywhere in this package. The note
    has the authors' interval, which resamples battles and is too narrow, because the three battles of a clear
    win are not independent. *tail* is the percentage outside it on either side: 2.5 for version 0.1, 5 for
    version 2.0.
    """
    counted = scores_by_query(graded, battles)
    found = [games for each in graded if each.answer.query.id in counted and (games := _games_of(each))]
    if found:
        authors = authors_interval([worth for games in found for worth in games.battles], tail)
        interval = f"the authors' interval ({ROUNDS} draws of battles, {100 - 2 * tail:g}%): "
        note = "; ".join(filter(None, (interval + f"{authors[0]:.1f} to {authors[1]:.1f}", note)))
    return mean_metric(name, graded, scale=100.0, unit="%", by=by, note=note, weigh=battles)


def battles(grade: Grade) -> float:
    """Return the number of battles of a grade: the weight of its score in the win rate."""
    games = _games(grade)
    return float(len(games.battles)) if games is not None else 1.0


def _games_of(graded: GradedAnswer) -> Games | None:
    """Return the two games of a grade; None if the answer could not be graded."""
    return _games(graded.grade)


def _games(grade: Grade) -> Games | None:
    labels = grade.details.get("games")
    if grade.score is None or not isinstance(labels, list) or len(labels) != 2:
        return None
    return Games(str(labels[0]), str(labels[1]))


def authors_interval(battles: Sequence[float], tail: float, seed: int = SEED) -> tuple[float, float]:
    """Return the percentiles *tail* and 100 - *tail* of the win rate over :data:`ROUNDS` resamples."""
    generator = random.Random(seed)  # noqa: S311 - resampling needs no secure generator
    rates = [100 * fmean(generator.choices(battles, k=len(battles))) for _ in range(ROUNDS)]
    cuts = quantiles(rates, n=round(100 / tail), method="inclusive")
    return cuts[0], cuts[-1]
