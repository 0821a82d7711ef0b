"""Games into a win rate, as Arena-Hard's authors compute it.

Version 0.1 fits a Bradley-Terry model to the battles and tells the chance to win against the baseline. With
one opponent the maximum of that likelihood has a closed form: the share of battles won, ties half. So nothing
is fitted here, and the number is the same. Version 2.0's scripts tell that share outright, as the mean of
their resamples, which differs from it by the noise of their unseeded draws alone.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, quantiles

from tpo.experiments.bench.grading import Graded, Metric
from tpo.experiments.bench.judged.verdict import Games
from tpo.report.statistics import bootstrap_ratios

ROUNDS = 100
"""Resamples of the authors' interval."""
SEED = 7


def win_rate(name: str, graded: Sequence[Graded], *, tail: float, by: str = "", note: str = "") -> Metric:
    """The share of battles won, in percent, with two intervals.

    The metric's own is the 95% one by bootstrap over whole queries, as everywhere in this package. The
    authors', which draws battles (the three of a clear win apart, so it is too narrow), stands in the note;
    *tail* is what it leaves out on either side, 2.5 for version 0.1 and 5 for 2.0.
    """
    battles: dict[str, list[float]] = defaultdict(list)
    counted = 0
    for each in graded:
        games = games_of(each)
        if games is not None:
            counted += 1
            battles[each.answer.query.id].extend(games.battles)
    missing = len(graded) - counted
    estimate = _over_queries(list(battles.values()))
    if estimate is None:
        said = "; ".join(filter(None, ("nothing could be graded", note)))
        return Metric(name, None, unit="%", ungraded=missing, by=by, note=said)
    value, low, high = estimate
    authors = authors_interval([worth for won in battles.values() for worth in won], tail)
    interval = f"the authors' interval ({ROUNDS} draws of battles, {100 - 2 * tail:g}%): "
    said = "; ".join(filter(None, (interval + f"{authors[0]:.1f} to {authors[1]:.1f}", note)))
    return Metric(name, value, low, high, "%", counted, missing, by, said)


def games_of(graded: Graded) -> Games | None:
    """The two games behind a grade; None where it could not be graded."""
    labels = graded.grade.details.get("games")
    if graded.grade.score is None or not isinstance(labels, list) or len(labels) != 2:
        return None
    return Games(str(labels[0]), str(labels[1]))


def authors_interval(battles: Sequence[float], tail: float, seed: int = SEED) -> tuple[float, float]:
    """The percentiles *tail* and 100 - *tail* of the win rate over :data:`ROUNDS` draws of battles."""
    draw = random.Random(seed)  # noqa: S311 - a resample, no secret
    rates = [100 * fmean(draw.choices(battles, k=len(battles))) for _ in range(ROUNDS)]
    cuts = quantiles(rates, n=round(100 / tail), method="inclusive")
    return cuts[0], cuts[-1]


def _over_queries(battles: Sequence[Sequence[float]]) -> tuple[float, float | None, float | None] | None:
    won = [[100 * sum(worths)] for worths in battles]
    estimates = bootstrap_ratios(won, [[float(len(worths))] for worths in battles])
    if not estimates or estimates[0] is None:
        return None
    return estimates[0].value, estimates[0].low, estimates[0].high
