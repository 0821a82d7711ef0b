"""Line figures of runs: reward by step, by tokens and by samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import NamedTuple

from tpo.report.bootstrap import Estimate
from tpo.report.figures import Figure, Point, Series, points
from tpo.report.measures import QueryMeasures, StepMeasures, prompt_share
from tpo.report.shared_queries import natural_key
from tpo.report.statistics import bootstrap_means, bootstrap_ratios, expected_best

Baselines = tuple[tuple[str, float], ...]

SHARED = (
    "Runs of schema 1 record the tokens of a phase per query; they are divided between its steps in"
    " proportion to text length."
)
BEST_OF_N = (
    "Dashed: best-of-n, the expected best of n first samples, estimated from the pool without extra calls."
)


@dataclass(frozen=True, slots=True)
class RunMeasures:
    """Measures of one run, for figures: *measures* holds finished queries with a first sample."""

    name: str
    number: int
    measures: Sequence[QueryMeasures]
    group: str = ""
    """Equal for runs of the same models on the same data, which have the same first samples."""
    reward: str = ""
    """Identity of the reward; runs with different rewards are neither compared nor drawn together."""
    reward_name: str = ""
    depth: int = field(init=False)
    """Maximum number of steps of a query, including step 0."""

    def __post_init__(self) -> None:
        # A fixed order makes sums independent of the order in which queries ended.
        measures = tuple(sorted(self.measures, key=lambda m: natural_key(m.query)))
        object.__setattr__(self, "measures", measures)
        object.__setattr__(self, "depth", max((len(m.steps) for m in measures), default=0))

    @property
    def queries(self) -> frozenset[tuple[str, str]]:
        """The queries, each as its id and the digest of its messages."""
        return frozenset((m.query, m.digest) for m in self.measures)

    def restricted_to(self, queries: Collection[tuple[str, str]]) -> RunMeasures:
        """Return the measures of *queries* only."""
        return replace(self, measures=[m for m in self.measures if (m.query, m.digest) in queries])


def line_figures(runs: Sequence[RunMeasures], baselines: Baselines = ()) -> list[Figure]:
    """Return all line figures of *runs*, which have the same reward."""
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
    """A run with the mean best reward of its pools by step, estimated once for all figures."""

    run: RunMeasures
    bests: Sequence[Estimate | None]

    def at(self, places: Sequence[float]) -> Series:
        """Return the line of the mean best rewards at the x values *places*."""
        counts = [len(self.run.measures)] * self.run.depth
        return Series(self.run.name, self.run.number, points(places, self.bests, counts))


_Widest = Sequence[tuple[RunMeasures, Sequence["Estimate | None"]]]


def _training(runs: Sequence[RunMeasures], baselines: Baselines) -> Figure:
    return Figure(
        name="training-curve",
        title="Test-time training",
        caption="Mean reward of the samples of each step; step 0 is the first samples.",
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
        caption="Mean reward of the best response so far: without --select, the answer if the loop stopped"
        " at this step.",
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
        caption=f"Prompt and completion tokens of the policy, including critiques. {BEST_OF_N} {SHARED}",
        x="tokens per query",
        y="mean reward of the best",
        kind="line",
        series=_priced(lines, widest, lambda step: step.read + step.written, read=1),
        baselines=baselines,
    )


def _against_written(lines: Sequence[_Lines], widest: _Widest, baselines: Baselines) -> Figure:
    return Figure(
        name="reward-written-tokens",
        title="Reward against completion tokens",
        caption=f"Completion tokens of the policy, including critiques: the cost of decoding when prompts"
        f" are cached. {BEST_OF_N} {SHARED}",
        x="completion tokens per query",
        y="mean reward of the best",
        kind="line",
        series=_priced(lines, widest, lambda step: step.written, read=0),
        baselines=baselines,
    )


def _against_samples(lines: Sequence[_Lines], widest: _Widest, baselines: Baselines) -> Figure:
    own = [line.at(_means(line.run, _drawn)) for line in lines]
    drawn = [_best_of_n(run, bests, float) for run, bests in widest]
    return Figure(
        name="reward-samples",
        title="Reward against samples",
        caption=f"Sampled responses, including malformed ones, without critiques. {BEST_OF_N}",
        x="responses per query",
        y="mean reward of the best",
        kind="line",
        series=(*own, *drawn),
        baselines=baselines,
        whole_x=True,
    )


def _length(runs: Sequence[RunMeasures]) -> Figure:
    return Figure(
        name="length",
        title="Length by step",
        caption="Mean length of the samples of each step. If length and reward rise together, length may be"
        " the cause.",
        x="step",
        y="characters per response",
        kind="line",
        series=tuple(Series(run.name, run.number, _by_step(run, _characters)) for run in runs),
        whole_x=True,
    )


def _reward(step: StepMeasures) -> float:
    return sum(step.rewards)


def _characters(step: StepMeasures) -> float:
    return step.characters


def _by_step(run: RunMeasures, total: Callable[[StepMeasures], float]) -> tuple[Point, ...]:
    """Return the mean over the responses of each step; *total* returns the sum of one query's step."""
    steps = range(run.depth)
    above = [[total(m.steps[s]) if s < len(m.steps) else 0.0 for s in steps] for m in run.measures]
    below = [[_count(m, s) for s in steps] for m in run.measures]
    queries = [sum(1 for row in below if row[s]) for s in steps]
    return points(list(steps), bootstrap_ratios(above, below), queries)


def _count(measures: QueryMeasures, step: int) -> float:
    return float(len(measures.steps[step].rewards)) if step < len(measures.steps) else 0.0


def _bests(run: RunMeasures) -> list[Estimate | None]:
    """Estimate the mean best reward of the pool by step; a query that stopped early keeps its best."""
    return bootstrap_means([[_at(m, s).best or 0.0 for s in range(run.depth)] for m in run.measures])


def _at(measures: QueryMeasures, step: int) -> StepMeasures:
    return measures.steps[min(step, len(measures.steps) - 1)]


def _means(run: RunMeasures, value: Callable[[QueryMeasures, int], float]) -> list[float]:
    """Return the mean over queries of *value*, by step."""
    return [sum(value(m, s) for m in run.measures) / len(run.measures) for s in range(run.depth)]


def _drawn(measures: QueryMeasures, step: int) -> float:
    return float(sum(s.drawn for s in measures.steps[: step + 1]))


def _priced(
    lines: Sequence[_Lines], widest: _Widest, price: Callable[[StepMeasures], float], *, read: int
) -> tuple[Series, ...]:
    """Return each run's best reward by cost, then best-of-n; *read* is 1 if prompt tokens count, else 0."""

    def own_price(measures: QueryMeasures, step: int) -> float:
        return price(_at(measures, step))

    own = [line.at(_means(line.run, own_price)) for line in lines]
    drawn = [_best_of_n(run, bests, _sampling_price(run, read)) for run, bests in widest]
    return (*own, *drawn)


def _sampling_price(run: RunMeasures, read: int) -> Callable[[int], float]:
    """Return a function of *n*: the mean cost of *n* of each query's first samples."""

    def price(n: int) -> float:
        drawn = [(m, m.steps[0].drawn) for m in run.measures]
        prompts = (m.sample_read * prompt_share(m.sample_requests, n, size) for m, size in drawn)
        return read * fmean(prompts) + fmean(m.sample_written * n / size for m, size in drawn)

    return price


def _expected_bests(run: RunMeasures) -> list[Estimate | None]:
    """Estimate the expected best of n first samples, for every n that all queries have."""
    best = expected_best([m.steps[0].rewards for m in run.measures], [m.steps[0].drawn for m in run.measures])
    size = min(map(len, best))
    return bootstrap_means([row[:size] for row in best])


def _best_of_n(run: RunMeasures, bests: Sequence[Estimate | None], place: Callable[[int], float]) -> Series:
    size = len(bests)
    places = [place(n) for n in range(1, size + 1)]
    dots = points(places, bests, [len(run.measures)] * size)
    return Series(f"best-of-n ({run.name})", run.number, dots, dashed=True)


def _widest(runs: Sequence[RunMeasures]) -> list[RunMeasures]:
    """Return, for each group of runs with the same first samples, the run with the most of them."""
    widest: dict[str, tuple[int, RunMeasures]] = {}
    for run in runs:
        if not run.measures:
            continue
        size = min(m.steps[0].drawn for m in run.measures)
        if run.group not in widest or size > widest[run.group][0]:
            widest[run.group] = (size, run)
    return [run for _, run in widest.values()]
