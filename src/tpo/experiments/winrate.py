"""Win rate of a run's answers against best-of-n of another run, by a pairwise judge (paper, figure 6).

For each query that both runs finished, the answer of the first run is compared with the best of the first n
samples of the second by their guiding reward. A comparison is a probability; the win rate is its mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tpo.errors import RewardError, StoreError
from tpo.experiments.latex import latex_table
from tpo.experiments.plan import write_result_files
from tpo.experiments.tables import escape_markdown, format_estimate, markdown_table
from tpo.report.bootstrap import Estimate
from tpo.report.figure_files import save_figures
from tpo.report.figures import Figure, Point, Series
from tpo.report.statistics import bootstrap_means
from tpo.rewards.judge.comparison import PairJudge
from tpo.store import read_trajectories
from tpo.store.journal import Journal
from tpo.store.journaled_models import JournaledJudge
from tpo.types import Candidate, Query, Step, Trajectory

NAME = "winrate"


@dataclass(frozen=True, slots=True)
class WinRate:
    """Win rate against best-of-*n*: mean probability, with its interval, over *queries*."""

    n: int
    queries: int
    rate: Estimate | None
    unjudged: int


async def win_rates(
    run: Path,
    pool: Path,
    judge: PairJudge,
    sizes: Sequence[int],
    kept: Path,
    *,
    identity: Sequence[str] = (),
    concurrency: int = 16,
) -> list[WinRate]:
    """Return the win rates of *run* against best-of-n of *pool* for each n of *sizes*.

    Comparisons are kept in the file *kept* and not made again by a judge of the same *identity*. Unjudged are
    those that the judge refuses, and queries whose first n samples, blank ones included, have no score.

    Raises:
        StoreError: a run cannot be read, shares no query with the other, or has too few samples.
        RewardError: a fatal error of the judge.
    """
    pairs = _pairs(run, pool, sizes)
    journal = Journal(kept)
    judged, free = JournaledJudge(judge, journal, identity), asyncio.Semaphore(concurrency)

    async def one(pair: tuple[Query, str, str] | None) -> float | None:
        async with free:
            return None if pair is None else await _probability(judged, *pair)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = {n: [group.create_task(one(pair)) for pair in of] for n, of in pairs.items()}
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        await journal.close()
    return [_rate(n, [task.result() for task in of]) for n, of in tasks.items()]


async def _probability(judge: PairJudge, query: Query, first: str, second: str) -> float | None:
    if first == second:
        return 0.5
    try:
        return (await judge.comparison(query, first, second)).probability
    except RewardError as error:
        if error.fatal:
            raise
        return None


def _rate(n: int, found: Sequence[float | None]) -> WinRate:
    known = [each for each in found if each is not None]
    estimate = bootstrap_means([[each] for each in known])[0] if known else None
    rate = None if estimate is None else estimate.clipped(0.0, 1.0)
    return WinRate(n, len(known), rate, len(found) - len(known))


def _pairs(run: Path, pool: Path, sizes: Sequence[int]) -> dict[int, list[tuple[Query, str, str] | None]]:
    """Return what to compare for each n; None for a query without a scored sample among the first n."""
    answers, pools = _finished(run), _finished(pool)
    shared = [query for query in answers if query in pools and _same(answers[query], pools[query])]
    if not shared:
        raise StoreError(f"{run} and {pool} have no finished query in common")
    fewest = min(_drawn(pools[query].first) for query in shared)
    if max(sizes) > fewest:
        raise StoreError(f"{pool}: a query has {fewest} samples; best-of-{max(sizes)} needs more")
    pairs: dict[int, list[tuple[Query, str, str] | None]] = {n: [] for n in sizes}
    for query in shared:
        best = answers[query].best
        for n in sizes:
            other = _best_of(pools[query].first, n)
            if best is not None:
                pairs[n].append(None if other is None else (answers[query].query, best.text, other.text))
    return pairs


def _drawn(first: Step) -> int:
    return len(first.candidates) + len(first.unreadable)


def _best_of(first: Step, n: int) -> Candidate | None:
    """Return the best of the first *n* samples; a blank one counts among them and never wins."""
    blank = [reply.index for reply in first.unreadable]
    found = [
        each
        for place, each in enumerate(first.candidates)
        if each.score is not None and place + sum(index < each.index for index in blank) < n
    ]
    return max(found, key=lambda each: each.reward, default=None)


def _finished(run: Path) -> Mapping[str, Trajectory]:
    found = {t.query.id: t for t in read_trajectories(run) if t.status == "finished" and t.initial}
    return dict(sorted(found.items()))


def _same(one: Trajectory, other: Trajectory) -> bool:
    return one.query.messages == other.query.messages


def write_win_rates(
    out: Path, run: Path, pool: Path, judge: str, found: Sequence[WinRate], *, figure: bool = True
) -> dict[str, Any]:
    """Write ``winrate.json``, ``.md``, ``.tex`` and the figure to *out*; return the record."""
    record = {
        "schema": 1,
        "run": str(run),
        "pool": str(pool),
        "judge": judge,
        "win_rates": [asdict(each) for each in found],
    }
    head = ("against", "win rate", "queries", "not judged")
    rows = []
    for each in found:
        rate = format_estimate(None if each.rate is None else asdict(each.rate))
        rows.append((f"best-of-{each.n}", rate, f"{each.queries:,}", f"{each.unjudged:,}"))
    title = f"Win rate of {run.name} by {judge}"
    table = markdown_table(head, rows)
    note = "Mean probability that the answer is better; 95% intervals by bootstrap over queries."
    page = f"# {escape_markdown(title)}\n\n{table}\n\n{note}\n"
    write_result_files(out, NAME, record, markdown=page, latex=latex_table(head, rows, title))
    if figure:
        save_figures([_win_rate_figure(title, found)], out)
    return record | {"table": table}


def _win_rate_figure(title: str, found: Sequence[WinRate]) -> Figure:
    """Return the figure of the win rates by n, with a line at one half."""
    dots = tuple(
        Point(float(each.n), each.rate.value, each.rate.low, each.rate.high, each.queries)
        for each in found
        if each.rate is not None
    )
    return Figure(
        name=NAME,
        title=title,
        caption="Mean probability that the answer is better than best-of-n. Bands: 95% intervals.",
        x="n of best-of-n",
        y="win rate",
        kind="line",
        series=(Series("win rate", 0, dots),),
        baselines=(("no difference", 0.5),),
        whole_x=True,
    )
