"""Figures of a sweep, one set per guiding reward, because two rewards cannot share an axis.

Lines by N show all arms. Lines by tokens, calls and steps show the deepest arm of each method and N, whose
steps contain the shallower arms. Best-of-n is dashed and uses the largest pool of first samples. A figure
with many lines has a panel for each method, with the same axes and the same color for the same N or D.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from statistics import fmean

from tpo.experiments.cells import slug
from tpo.experiments.sweep.arms import Arm, largest_pools
from tpo.experiments.sweep.costs import CALLS, DEFAULT_COSTS, TOKENS, WRITTEN, CostMeasure
from tpo.experiments.sweep.curves import method_curve, sample_curve
from tpo.experiments.sweep.equal_cost import best_of_n_name, deepest_arms
from tpo.report.figures import Figure, Point, Series, points
from tpo.report.statistics import bootstrap_means

DASHED = "Dashed: best-of-n, the expected best of n of the largest pool of first samples."
BANDS = "Bands: 95% intervals, bootstrap over queries."
AXIS = "mean reward of the answer"
HELD_OUT_AXIS = "mean held-out reward"
MAX_LINES = 6
"""Lines of a figure that is not divided into panels."""

FILES = {"written": "written-tokens"}
NAMES = {
    "tokens": "tokens",
    "written": "completion tokens",
    "calls": "calls",
    "money": "cost",
    "flops": "FLOPs",
    "seconds": "seconds",
}
CAPTIONS = {
    "tokens": "Prompt and completion tokens of the policy, including critiques.",
    "written": "Completion tokens, including critiques: the cost of decoding when prompts are cached.",
    "calls": "Each sample and each critique is one call.",
    "money": "Tokens of the policy at the given prices; cached ones at --price-cached, if given.",
    "flops": "2 x parameters x tokens of the policy, without attention.",
    "seconds": "Mean seconds of a query, beside all others in flight; each point is a run of its own.",
}
Line = tuple[str, str, tuple[Point, ...]]
"""Method, shape and points."""


def sweep_figures(
    arms: Sequence[Arm],
    check_reward: str | None = None,
    total: int | None = None,
    costs: Sequence[CostMeasure] = DEFAULT_COSTS,
) -> list[Figure]:
    """Return all figures of *arms*, which have the same queries.

    Args:
        arms: the compared arms.
        check_reward: name of the held-out reward, if there is one.
        total: number of queries of the sweep, mentioned in captions if the arms have finished fewer.
        costs: further cost measures than tokens, completion tokens and calls.
    """
    rewards = list(dict.fromkeys(arm.reward for arm in arms))
    figures = []
    for reward in rewards:
        own = [arm for arm in arms if arm.reward == reward and arm.results]
        if own:
            suffix = f"-{slug(reward)}" if len(rewards) > 1 else ""
            count = len(own[0].results)
            part = total is not None and count < total
            note = f" On the {count:,} of {total:,} queries that all arms finished." if part else ""
            figures += _RewardFigures(own, suffix, f" Reward: {reward}.{note}").figures(check_reward, costs)
    return figures


class _RewardFigures:
    """Figures of the arms with one reward; *suffix* distinguishes their files from those of other rewards."""

    def __init__(self, arms: Sequence[Arm], suffix: str, note: str) -> None:
        self.arms, self.suffix, self.note = arms, suffix, note
        self.pools = largest_pools(arms)
        self.deepest = deepest_arms(arms)

    def figures(self, check_reward: str | None, costs: Sequence[CostMeasure]) -> list[Figure]:
        measures = dict.fromkeys((TOKENS, WRITTEN, CALLS, *costs))
        drawn = [self._width(), *(self._by_cost(measure) for measure in measures)]
        if self.deepest:
            drawn.insert(1, self._depth())
        if check_reward is not None and any(row.check for arm in self.arms for row in arm.results.values()):
            drawn += [self._check_steps(check_reward), self._check_against(check_reward)]
            drawn += [self._by_cost(measure, check_reward) for measure in measures]
        return drawn

    def _width(self) -> Figure:
        lines = _grouped(self.arms, lambda arm: (arm.method_name, arm.depth))
        series = [
            (
                method,
                f"D{depth}",
                _answer_points(sorted(of, key=lambda arm: arm.n), lambda arm: float(arm.n)),
            )
            for (method, depth), of in lines
        ]
        dashed = [
            (pool, _best_of_n_points(pool, tuple(map(float, range(1, pool.pool_size + 1)))))
            for pool in self.pools
        ]
        return self._figure("width", "Width scaling", "samples per step, N", series, dashed, whole=True)

    def _depth(self) -> Figure:
        lines = _grouped([arm for arm in self.arms if arm.depth], lambda arm: (arm.method_name, arm.n))
        series = [(method, f"N{n}", _depth_points(of)) for (method, n), of in lines]
        caption = "At 0: the best of the first samples."
        return self._figure("depth", "Depth scaling", "iterations, D", series, whole=True, caption=caption)

    def _by_cost(self, measure: CostMeasure, check_reward: str | None = None) -> Figure:
        """Draw the reward, or the score by *check_reward*, at the cost of the mean query."""
        lines, dashed = [], []
        for arm in self.deepest:
            curve = method_curve(arm, self.arms, list(arm.results), measure)
            values = curve.reached if check_reward is None else curve.checked
            lines.append((arm.method_name, f"N{arm.n}", _means(curve.spent, list(values.values()))))
        for pool in self.pools:
            curve = sample_curve(pool, self.arms, list(pool.results), measure)
            values = curve.reached if check_reward is None else curve.checked
            dashed.append((pool, _means(curve.spent, list(values.values()))))
        held_out = "" if check_reward is None else f" Score by {check_reward}, which guides no run."
        return self._figure(
            ("" if check_reward is None else "held-out-") + FILES.get(measure.name, measure.name),
            f"{'Reward' if check_reward is None else 'Held-out reward'} by {NAMES[measure.name]}",
            f"{measure.label} per query",
            lines,
            dashed,
            caption=CAPTIONS[measure.name] + held_out,
            y=AXIS if check_reward is None else HELD_OUT_AXIS,
        )

    def _check_steps(self, check_reward: str) -> Figure:
        series = []
        for arm in self.deepest or self.arms:
            rows = [row.check for row in arm.results.values() if row.check]
            series.append(
                (arm.method_name, f"N{arm.n}", _means(list(map(float, range(arm.depth + 1))), rows))
            )
        return self._figure(
            "held-out-steps",
            "Held-out reward by step",
            "step",
            series,
            whole=True,
            caption=f"Score by {check_reward}, which guides no run, of the best response of each step.",
            y=HELD_OUT_AXIS,
        )

    def _check_against(self, check_reward: str) -> Figure:
        series = []
        for arm in self.deepest or self.arms:
            rows = [row for row in arm.results.values() if row.check]
            places = [fmean(values) for values in zip(*((row.first, *row.best) for row in rows), strict=True)]
            checks = [(row.check_first or 0.0, *row.check) for row in rows]
            series.append((arm.method_name, f"N{arm.n}", _means(places, checks)))
        return self._figure(
            "over-optimization",
            "Over-optimization",
            "mean guiding reward",
            series,
            caption="Steps from the first sample to the best of the first samples to the answer. Where a line"
            f" goes right but no longer up, {check_reward} no longer improves.",
            y=HELD_OUT_AXIS,
        )

    def _figure(
        self,
        name: str,
        title: str,
        x: str,
        lines: Iterable[Line],
        dashed: Iterable[tuple[Arm, tuple[Point, ...]]] = (),
        *,
        caption: str = "",
        whole: bool = False,
        y: str = AXIS,
    ) -> Figure:
        drawn = [line for line in lines if line[2]]
        series = _in_panels(drawn) if len(drawn) > MAX_LINES else _together(drawn)
        numbers = count(1 + max((each.run for each in series), default=-1))
        derived = [
            Series(best_of_n_name(pool, self.pools), next(numbers), dots, dashed=True)
            for pool, dots in dashed
            if dots
        ]
        text = " ".join(part for part in (caption, DASHED if derived else "", BANDS) if part)
        return Figure(
            name=f"{name}{self.suffix}",
            title=title,
            caption=text + self.note,
            x=x,
            y=y,
            kind="line",
            series=(*series, *derived),
            whole_x=whole,
        )


def _grouped(
    arms: Sequence[Arm], key: Callable[[Arm], tuple[str, int]]
) -> list[tuple[tuple[str, int], list[Arm]]]:
    """Return *arms* grouped by *key*, in order of first occurrence."""
    groups: dict[tuple[str, int], list[Arm]] = {}
    for arm in arms:
        groups.setdefault(key(arm), []).append(arm)
    return list(groups.items())


def _answer_points(arms: Iterable[Arm], place: Callable[[Arm], float]) -> tuple[Point, ...]:
    """Return a point for the answers of each of *arms*."""
    return tuple(
        point
        for arm in arms
        for point in _means([place(arm)], [(row.answer,) for row in arm.results.values()])
    )


def _depth_points(arms: Sequence[Arm]) -> tuple[Point, ...]:
    """Return the points of the arms of one method and N by D, starting at step 0."""
    ordered = sorted((arm for arm in arms if arm.results), key=lambda arm: arm.depth)
    if not ordered:
        return ()
    start = _means([0.0], [(row.best[0],) for row in ordered[-1].results.values()])
    return (*start, *_answer_points(ordered, lambda arm: float(arm.depth)))


def _best_of_n_points(pool: Arm, places: Sequence[float]) -> tuple[Point, ...]:
    return _means(places, [row.best_of[: len(places)] for row in pool.results.values()])


def _means(places: Sequence[float], rows: Sequence[Sequence[float]]) -> tuple[Point, ...]:
    """Return the mean of each column of *rows* at the x values *places*."""
    return points(places, bootstrap_means(rows), [len(rows)] * len(places)) if rows else ()


def _together(lines: Sequence[Line]) -> list[Series]:
    return [Series(f"{method} {shape}", run, dots) for run, (method, shape, dots) in enumerate(lines)]


def _in_panels(lines: Sequence[Line]) -> list[Series]:
    """Return a panel for each method; the same shape has the same color in all of them."""
    shapes = list(dict.fromkeys(shape for _, shape, _ in lines))
    return [Series(shape, shapes.index(shape), dots, panel=method) for method, shape, dots in lines]
