"""The figures of a run by step, by tokens and by samples: how much better, and at what price."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tpo.report.bootstrap import Estimate
from tpo.report.figures import Figure, Point, Series, points
from tpo.report.measures import Measures, StepMeasures
from tpo.report.shared_queries import natural
from tpo.report.statistics import bootstrap_means, bootstrap_ratios, expected_best

Baselines = tuple[tuple[str, float], ...]

SHARED = (
    "Tokens of a phase are known for a query as a whole; between its steps they are shared out by the length"
    " of the texts."
)
BEST_OF_N = (
    "Dashed: best-of-n, the expected best of n of the first samples, estimated from the pool without extra"
    " calls."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A run in numbers: its *measures* are those of finished queries with a first sample."""

    name: str
    number: int
    measures: Sequence[Measures]
    group: str = ""
    """Equal for runs of the same models on the same data, whose first samples are alike."""
    reward: str = ""
    """Identity of the reward; runs of different rewards are neither compared nor drawn together."""
    reward_name: str = ""
    depth: int = field(init=False)
    """Most steps of a query, the first samples among them."""

    def __post_init__(self) -> None:
        # A fixed order, so that sums are the same in whatever order queries ended.
        measures = tuple(sorted(self.measures, key=lambda m: natural(m.query)))
        object.__setattr__(self, "measures", measures)
        object.__setattr__(self, "depth", max((len(m.steps) for m in measures), default=0))

    @property
    def queries(self) -> frozenset[tuple[str, str]]:
        """The queries by id and what was asked."""
        return frozenset((m.query, m.digest) for m in self.measures)

    def on(self, queries: Collection[tuple[str, str]]) -> Measured:
        """Return the run on *queries* alone."""
        return replace(self, measures=[m for m in self.measures if (m.query, m.digest) in queries])


def curves(runs: Sequence[Measured], baselines: Baselines = ()) -> list[Figure]:
    """Return every figure that is a line; *runs* have one reward."""
    lines = [_Lines(run, _bests(run)) for run in runs]
    widest = [(run, _expected_bests(run)) for run in _widest(runs)]
    return [
        _training(runs, baselines),
        _pool(lines, baselines),
        _against_tokens(lines, widest, baselines),
        _against_written(lines, widest, baselines),
        _against_samples(lines, widest, baselines),
        _length(runs),
    ]


class _Lines(NamedTuple):
    """A run with the mean best of its pools by step, estimated once for all figures that show it."""

    run: Measured
    bests: Sequence[Estimate | None]

    def at(self, places: Sequence[float]) -> Series:
        """Return the line through the bests at *places*."""
        counts = [len(self.run.measures)] * self.run.depth
        return Series(self.run.name, self.run.number, points(places, self.bests, counts))


_Widest = Sequence[tuple[Measured, Sequence["Estimate | None"]]]


def _training(runs: Sequence[Measured], baselines: Baselines) -> Figure:
    return Figure(
        name="training-curve",
        title="Test-time training",
        caption="Mean reward of the samples of each step; step 0 are the first samples.",
        x="step",
        y="mean reward of the samples",
        kind="line",
        series=tuple(Series(run.name, run.number, _by_step(run, _reward)) for run in runs),
        baselines=baselines,
        whole_x=True,
    )


def _pool(lines: Sequence[_Lines], baselines: Baselines) -> Figure:
    return Figure(
        name="best-of-pool",
        title="Best of the pool",
        caption="Mean reward of the best response so far, the answer if the loop stopped there.",
        x="step",
        y="mean reward of the best",
        kind="line",
        series=tuple(line.at(range(line.run.depth)) for line in lines),
        baselines=baselines,
        whole_x=True,
    )


def _against_tokens(lines: Sequence[_Lines], widest: _Widest, baselines: Baselines) -> Figure:
    return Figure(
        name="reward-tokens",
        title="Reward against tokens",
        caption=f"Policy tokens read and written, critique included. {BEST_OF_N} {SHARED}",
        x="tokens a query",
        y="mean reward of the best",
        kind="line",
        series=_priced(lines, widest, lambda step: step.read + step.written, read=1),
        baselines=baselines,
    )


def _against_written(lines: Sequence[_Lines], widest: _Widest, baselines: Baselines) -> Figure:
    return Figure(
        name="reward-written-tokens",
        title="Reward against written tokens",
        caption=f"Only what the policy wrote, critique included: what decoding costs where prompts are"
        f" cached. {BEST_OF_N} {SHARED}",
        x="written tokens a query",
        y="mean reward of the best",
        kind="line",
        series=_priced(lines, widest, lambda step: step.written, read=0),
        baselines=baselines,
    )


def _against_samples(lines: Sequence[_Lines], widest: _Widest, baselines: Baselines) -> Figure:
    own = [line.at(_means(line.run, _drawn)) for line in lines]
    drawn = [_best_of_n(run, bests, lambda n, _size: float(n)) for run, bests in widest]
    return Figure(
        name="reward-samples",
        title="Reward against samples",
        caption=f"Responses drawn, unreadable ones included, critiques not. {BEST_OF_N}",
        x="responses a query",
        y="mean reward of the best",
        kind="line",
        series=(*own, *drawn),
        baselines=baselines,
        whole_x=True,
    )


def _length(runs: Sequence[Measured]) -> Figure:
    return Figure(
        name="length",
        title="Length by step",
        caption="Mean length of the samples of each step. Growth that goes with the reward may be its cause.",
        x="step",
        y="characters a response",
        kind="line",
        series=tuple(Series(run.name, run.number, _by_step(run, _characters)) for run in runs),
        whole_x=True,
    )


def _reward(step: StepMeasures) -> float:
    return sum(step.rewards)


def _characters(step: StepMeasures) -> float:
    return step.characters


def _by_step(run: Measured, total: Callable[[StepMeasures], float]) -> tuple[Point, ...]:
    """The mean over the responses of each step of what *total* adds up."""
    steps = range(run.depth)
    above = [[total(m.steps[s]) if s < len(m.steps) else 0.0 for s in steps] for m in run.measures]
    below = [[_count(m, s) for s in steps] for m in run.measures]
    queries = [sum(1 for row in below if row[s]) for s in steps]
    return points(list(steps), bootstrap_ratios(above, below), queries)


def _count(measures: Measures, step: int) -> float:
    return float(len(measures.steps[step].rewards)) if step < len(measures.steps) else 0.0


def _bests(run: Measured) -> list[Estimate | None]:
    """Estimate the mean best of the pool after each step; a query that stopped earlier keeps its best."""
    return bootstrap_means([[_at(m, s).best or 0.0 for s in range(run.depth)] for m in run.measures])


def _at(measures: Measures, step: int) -> StepMeasures:
    return measures.steps[min(step, len(measures.steps) - 1)]


def _means(run: Measured, value: Callable[[Measures, int], float]) -> list[float]:
    """By step, the mean over queries of *value*."""
    return [sum(value(m, s) for m in run.measures) / len(run.measures) for s in range(run.depth)]


def _drawn(measures: Measures, step: int) -> float:
    return float(sum(s.drawn for s in measures.steps[: step + 1]))


def _priced(
    lines: Sequence[_Lines], widest: _Widest, price: Callable[[StepMeasures], float], *, read: int
) -> tuple[Series, ...]:
    """Each run's best by what it cost until then, then best-of-n; *read* is 1 where prompts count."""

    def own_price(measures: Measures, step: int) -> float:
        return price(_at(measures, step))

    own = [line.at(_means(line.run, own_price)) for line in lines]
    drawn = [_best_of_n(run, bests, _sampling_price(run, read)) for run, bests in widest]
    return (*own, *drawn)


def _sampling_price(run: Measured, read: int) -> Callable[[int, int], float]:
    """What *n* of *size* first samples cost: the prompt once, and their part of what was written."""
    count = len(run.measures)
    prompt = read * sum(m.sample_read for m in run.measures) / count
    written = sum(m.sample_written for m in run.measures) / count
    return lambda n, size: prompt + written * n / size


def _expected_bests(run: Measured) -> list[Estimate | None]:
    """Estimate the expected best of n first samples, for each n that every query has."""
    pools = [m.steps[0].rewards for m in run.measures]
    size = min(len(pool) for pool in pools)
    return bootstrap_means([row[:size] for row in expected_best(pools)])


def _best_of_n(run: Measured, bests: Sequence[Estimate | None], place: Callable[[int, int], float]) -> Series:
    size = len(bests)
    places = [place(n, size) for n in range(1, size + 1)]
    dots = points(places, bests, [len(run.measures)] * size)
    return Series(f"best-of-n ({run.name})", run.number, dots, dashed=True)


def _widest(runs: Sequence[Measured]) -> list[Measured]:
    """Of runs whose first samples are alike, the one with the most of them."""
    widest: dict[str, tuple[int, Measured]] = {}
    for run in runs:
        if not run.measures:
            continue
        size = min(len(m.steps[0].rewards) for m in run.measures)
        if run.group not in widest or size > widest[run.group][0]:
            widest[run.group] = (size, run)
    return [run for _, run in widest.values()]
