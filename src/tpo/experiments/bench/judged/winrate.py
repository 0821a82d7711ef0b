"""Games into a win rate, as Arena-Hard's authors compute it.

Version 0.1 fits a Bradley-Terry model to the battles and tells the chance to win against the baseline. With
one opponent the maximum of that likelihood has a closed form: the share of battles won, ties half. So nothing
is fitted here, and the number is the same. Version 2.0's scripts tell that share outright, as the mean of
their resamples, which differs from it by the noise of their unseeded draws alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import fmean, quantiles

from tpo.experiments.bench.grading import Grade, Graded, Metric
from tpo.experiments.bench.judged.verdict import Games
from tpo.experiments.bench.summarize import by_query, mean_metric

ROUNDS = 100
"""Resamples of the authors' interval."""
SEED = 7


def win_rate(name: str, graded: Sequence[Graded], *, tail: float, by: str = "", note: str = "") -> Metric:
    """Return the share of battles won, in percent, with two intervals.

    The metric's own is the 95% one by bootstrap over whole queries, as everywhere in this package. The
    authors', which draws battles (the three of a clear win apart, so it is too narrow), stands in the note;
    *tail* is what it leaves out on either side, 2.5 for version 0.1 and 5 for 2.0.
    """
    counted = by_query(graded, battles)
    found = [games for each in graded if each.answer.query.id in counted and (games := games_of(each))]
    if found:
        authors = authors_interval([worth for games in found for worth in games.battles], tail)
        interval = f"the authors' interval ({ROUNDS} draws of battles, {100 - 2 * tail:g}%): "
        note = "; ".join(filter(None, (interval + f"{authors[0]:.1f} to {authors[1]:.1f}", note)))
    return mean_metric(name, graded, scale=100.0, unit="%", by=by, note=note, weigh=battles)


def battles(grade: Grade) -> float:
    """Return the battles that a grade stands for: the weight of its score in the win rate."""
    games = _games(grade)
    return float(len(games.battles)) if games is not None else 1.0


def games_of(graded: Graded) -> Games | None:
    """Return the two games behind a grade; None where it could not be graded."""
    return _games(graded.grade)


def _games(grade: Grade) -> Games | None:
    labels = grade.details.get("games")
    if grade.score is None or not isinstance(labels, list) or len(labels) != 2:
        return None
    return Games(str(labels[0]), str(labels[1]))


def authors_interval(battles: Sequence[float], tail: float, seed: int = SEED) -> tuple[float, float]:
    """The percentiles *tail* and 100 - *tail* of the win rate over :data:`ROUNDS` draws of battles."""
    draw = random.Random(seed)  # noqa: S311 - a resample, no secret
    rates = [100 * fmean(draw.choices(battles, k=len(battles))) for _ in range(ROUNDS)]
    cuts = quantiles(rates, n=round(100 / tail), method="inclusive")
    return cuts[0], cuts[-1]
