"""What a benchmark is: a frozen value: where its data is, how a row is asked, how an answer is graded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tpo.data.row import Row
from tpo.experiments.bench.grading import Context, Graded, Grader, Summarize, Weigh, equally
from tpo.experiments.bench.hub import Hub
from tpo.types import Query

RowReader = Callable[[Row, int], Query]
"""A row and its position, counted from 0, become a query; raises DataError, naming ``row.place``, if not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The answers that a benchmark's answers are held against, where they are rows of data themselves.

    Attributes:
        hub: where they are; ``--baseline FILE`` reads a file of the same schema in its place.
        read: a row and its position become the id of a query and the opponent's answer to it.
        writer: who wrote the published ones.
        writer_column: the column that names who wrote a row; None: there is none.
    """

    hub: Hub
    read: Callable[[Row, int], tuple[str, str]]
    writer: str
    writer_column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark; see :mod:`tpo.experiments.bench.xstest` for a short one.

    Attributes:
        name: as it is called on the command line.
        title: as it is called in tables.
        hub: where the data is published.
        licence: its terms, in a few words.
        size: rows that the published set gives, what is *picked* alone; another number is no whole set.
        metric: the published metric, in words.
        read: a row becomes a query; its id is the row's own, or tells the row's position.
        grade: the grader.
        summarize: grades become metrics, the first of which is the one that tables lead with.
        weigh: how much a grade counts in the leading metric and in changes of it.
        publish: writes all graded answers in a format of the benchmark's own, beside the results.
        stratum: the key of ``query.metadata`` that ``--limit`` takes its share of evenly; None: at random.
        pick: of a published set of so many rows, the positions that are asked, in rising order; None: all.
        published_rows: rows of the published set that *pick* picks from; None: *size*.
        baseline: opponent's answers; None: there is no opponent.
        paper: pairs of a metric's name and its column in the paper's table: ``("accuracy", "xstest")``.
        paper_judge: the judge that the paper took, so that another is said to be another; None: no judge.
        paper_reward: the reward that the paper's number is a mean of, for metrics that are rewards.
        needs_judge: whether nothing can be graded without ``--judge``, so that it is missed before any call.
        options: names that ``--grader-option NAME=VALUE`` may have.
        check: refuses, before any call is made, what grading would refuse: a missing extra, a wrong option.
    """

    name: str
    title: str
    hub: Hub
    licence: str
    size: int
    metric: str
    read: RowReader
    grade: Grader
    summarize: Summarize
    weigh: Weigh = equally
    publish: Callable[[Sequence[Graded], Context], None] | None = None
    stratum: str | None = None
    pick: Callable[[int], tuple[int, ...]] | None = None
    published_rows: int | None = None
    baseline: Baseline | None = None
    paper: tuple[tuple[str, str], ...] = ()
    paper_judge: str | None = None
    paper_reward: str | None = None
    needs_judge: bool = False
    check: Callable[[Context], None] | None = None
    options: tuple[str, ...] = ()
