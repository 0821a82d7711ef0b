"""The figures of a sweep, a set for each guiding reward, since two rewards share no axis.

Lines by N show the arms themselves; lines by tokens, calls and steps show the deepest arm of each method and
N, which passes through the shallower ones. Best-of-n is dashed, from the widest pool of first samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from statistics import fmean

from tpo.experiments.sweep.arms import Arm, Row, widest
from tpo.experiments.sweep.equal import best_of_n, best_of_n_name, deepest_arms
from tpo.experiments.sweep.grid import slug
from tpo.report.figures import Figure, Point, Series, points
from tpo.report.statistics import bootstrap_means

DASHED = "Dashed: best-of-n, the expected best of n of the largest pool of first samples."
BANDS = "Bands: 95% intervals, bootstrap over queries."
AXIS = "mean reward of the answer"


def charts(arms: Sequence[Arm], check_reward: str | None = None, asked: int | None = None) -> list[Figure]:
    """Return every figure of *arms*, all on the same queries.

    Args:
        arms: those that are compared.
        check_reward: the held-out reward's name, if there is one.
        asked: queries of the sweep, told where the arms have finished fewer.
    """
    rewards = list(dict.fromkeys(arm.reward for arm in arms))
    figures = []
    for reward in rewards:
        own = [arm for arm in arms if arm.reward == reward and arm.rows]
        if own:
            suffix = f"-{slug(reward)}" if len(rewards) > 1 else ""
            count = len(own[0].rows)
            part = asked is not None and count < asked
            note = f" On the {count:,} of {asked:,} queries that all arms finished." if part else ""
            figures += _Set(own, suffix, f" Reward: {reward}.{note}").figures(check_reward)
    return figures


class _Set:
    """The figures of the arms of one reward; *suffix* tells their files from those of another."""

    def __init__(self, arms: Sequence[Arm], suffix: str, note: str) -> None:
        self.arms, self.suffix, self.note = arms, suffix, note
        self.pools = widest(arms)
        self.deepest = deepest_arms(arms)

    def figures(self, check_reward: str | None) -> list[Figure]:
        drawn = [self._width(), self._tokens(), self._written(), self._calls()]
        if self.deepest:
            drawn.insert(1, self._depth())
        if check_reward is not None and any(row.check for arm in self.arms for row in arm.rows.values()):
            drawn += [self._check_steps(check_reward), self._check_against(check_reward)]
        return drawn

    def _width(self) -> Figure:
        lines = _by(self.arms, lambda arm: (arm.method, arm.depth))
        series = [
            (f"{method} D{depth}", _ends(sorted(of, key=lambda arm: arm.n), lambda arm: float(arm.n)))
            for (method, depth), of in lines
        ]
        dashed = [(pool, _pool(pool, tuple(map(float, range(1, pool.n + 1))))) for pool in self.pools]
        return self._figure("width", "Width scaling", "samples of a step, N", series, dashed, whole=True)

    def _depth(self) -> Figure:
        lines = _by([arm for arm in self.arms if arm.depth], lambda arm: (arm.method, arm.n))
        series = [(f"{method} N{n}", _depths(of)) for (method, n), of in lines]
        caption = "At 0 the best of the first samples."
        return self._figure("depth", "Depth scaling", "iterations, D", series, whole=True, caption=caption)

    def _tokens(self) -> Figure:
        def spent(row: Row, step: int) -> float:
            return row.read[step] + row.written[step]

        dashed = [(pool, _pool(pool, best_of_n(pool, list(pool.rows), "all").spent)) for pool in self.pools]
        caption = "Read and written by the policy, critiques included."
        label = "tokens a query, read and written"
        return self._figure("tokens", "Reward by tokens", label, self._steps(spent), dashed, caption=caption)

    def _written(self) -> Figure:
        def spent(row: Row, step: int) -> float:
            return row.written[step]

        pools = self.pools
        dashed = [(pool, _pool(pool, best_of_n(pool, list(pool.rows), "written").spent)) for pool in pools]
        caption = "Written by the policy, critiques included: what decoding costs where prompts are cached."
        label = "written tokens a query"
        return self._figure(
            "written-tokens", "Reward by written tokens", label, self._steps(spent), dashed, caption=caption
        )

    def _calls(self) -> Figure:
        def spent(row: Row, step: int) -> float:
            return row.calls[step]

        dashed = [(pool, _pool(pool, tuple(map(float, range(1, pool.n + 1))))) for pool in self.pools]
        caption = "Each sample and each critique is one call."
        label = "policy calls a query"
        return self._figure("calls", "Reward by calls", label, self._steps(spent), dashed, caption=caption)

    def _check_steps(self, check_reward: str) -> Figure:
        series = []
        for arm in self.deepest or self.arms:
            rows = [row.check for row in arm.rows.values() if row.check]
            series.append((_line_name(arm), _means(list(map(float, range(arm.depth + 1))), rows)))
        return self._figure(
            "held-out-steps",
            "The held-out reward by step",
            "step",
            series,
            whole=True,
            caption=f"What {check_reward}, which guides nothing, says of the best by the guiding reward.",
            y="mean held-out reward",
        )

    def _check_against(self, check_reward: str) -> Figure:
        series = []
        for arm in self.deepest or self.arms:
            rows = [row for row in arm.rows.values() if row.check]
            places = [fmean(values) for values in zip(*((row.first, *row.best) for row in rows), strict=True)]
            checks = [(row.check_first or 0.0, *row.check) for row in rows]
            series.append((_line_name(arm), _means(places, checks)))
        return self._figure(
            "over-optimization",
            "Over-optimization",
            "mean guiding reward",
            series,
            caption=f"From the first sample over the best of the first samples to the answer, step by step. "
            f"Where a line goes right and no longer up, {check_reward} no longer agrees.",
            y="mean held-out reward",
        )

    def _steps(self, spent: Callable[[Row, int], float]) -> list[tuple[str, tuple[Point, ...]]]:
        lines = []
        for arm in self.deepest:
            rows = list(arm.rows.values())
            places = [fmean(spent(row, step) for row in rows) for step in range(arm.depth + 1)]
            lines.append((_line_name(arm), _means(places, [row.best for row in rows])))
        return lines

    def _figure(
        self,
        name: str,
        title: str,
        x: str,
        lines: Iterable[tuple[str, tuple[Point, ...]]],
        dashed: Iterable[tuple[Arm, tuple[Point, ...]]] = (),
        *,
        caption: str = "",
        whole: bool = False,
        y: str = AXIS,
    ) -> Figure:
        numbers = count()
        series = [Series(label, next(numbers), dots) for label, dots in lines if dots]
        derived = [
            Series(best_of_n_name(pool, self.pools), next(numbers), dots, dashed=True)
            for pool, dots in dashed
        ]
        said = " ".join(part for part in (caption, DASHED if derived else "", BANDS) if part)
        return Figure(
            name=f"{name}{self.suffix}",
            title=title,
            caption=said + self.note,
            x=x,
            y=y,
            kind="line",
            series=(*series, *derived),
            whole_x=whole,
        )


def _by(
    arms: Sequence[Arm], key: Callable[[Arm], tuple[str, int]]
) -> list[tuple[tuple[str, int], list[Arm]]]:
    """*arms* by *key*, in the order in which the keys first come."""
    groups: dict[tuple[str, int], list[Arm]] = {}
    for arm in arms:
        groups.setdefault(key(arm), []).append(arm)
    return list(groups.items())


def _ends(arms: Iterable[Arm], place: Callable[[Arm], float]) -> tuple[Point, ...]:
    """A point for the answers of each of *arms*."""
    return tuple(
        point for arm in arms for point in _means([place(arm)], [(row.answer,) for row in arm.rows.values()])
    )


def _depths(arms: Sequence[Arm]) -> tuple[Point, ...]:
    """The arms of one method and N by D, and what they begin with."""
    rising = sorted((arm for arm in arms if arm.rows), key=lambda arm: arm.depth)
    if not rising:
        return ()
    start = _means([0.0], [(row.best[0],) for row in rising[-1].rows.values()])
    return (*start, *_ends(rising, lambda arm: float(arm.depth)))


def _pool(pool: Arm, places: Sequence[float]) -> tuple[Point, ...]:
    return _means(places, [row.best_of for row in pool.rows.values()])


def _means(places: Sequence[float], rows: Sequence[Sequence[float]]) -> tuple[Point, ...]:
    """The mean of each column of *rows* at its place."""
    return points(places, bootstrap_means(rows), [len(rows)] * len(places)) if rows else ()


def _line_name(arm: Arm) -> str:
    return f"{arm.method} N{arm.n}"
