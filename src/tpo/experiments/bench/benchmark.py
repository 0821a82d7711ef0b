"""Benchmark: a frozen value with data source, row reader, grader and metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tpo.data.hub import HubSource
from tpo.data.row import Row
from tpo.experiments.bench.graders.base import (
    GradedAnswer,
    Grader,
    GradingContext,
    Summarize,
    Weight,
    equal_weight,
)
from tpo.types import Query

RowReader = Callable[[Row, int], Query]
"""Returns the query of a row and its position (from 0), or raises DataError with ``row.place``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Answers of an opponent that a benchmark's answers are compared with.

    Attributes:
        hub: data source of the answers; ``--baseline FILE`` reads a file with the same schema instead.
        read: returns the query id and the opponent's answer of a row and its position.
        writer: author of the published answers.
        writer_column: column with the author of a row; None: there is none.
    """

    hub: HubSource
    read: Callable[[Row, int], tuple[str, str]]
    writer: str
    writer_column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark; see :mod:`tpo.experiments.bench.xstest` for a short example.

    Attributes:
        name: name on the command line.
        title: name in tables.
        hub: data source.
        licence: licence of the data, in a few words.
        size: number of queries of the published set, after *pick*; another number is not the whole set.
        metric: the published metric, in words.
        read: returns the query of a row; its id is the row's own or contains the row's position.
        grade: the grader.
        summarize: returns the metrics of graded answers; tables show the first one first.
        weigh: returns the weight of a grade in the leading metric and in its changes.
        publish: writes all graded answers in a format of the benchmark's own.
        stratum: key of ``query.metadata`` by which ``--limit`` stratifies; None: no strata.
        pick: returns the positions of the used rows, ascending, for a number of rows; None: all rows.
        published_rows: number of rows of the published set, before *pick*; None: *size*.
        baseline: answers of an opponent; None: there is no opponent.
        paper: pairs of a metric's name and its column in the paper's table: ``("accuracy", "xstest")``.
        paper_judge: the paper's judge, so that another judge is noted; None: no judge.
        paper_reward: the reward of the paper's number, for metrics that are mean rewards.
        needs_judge: grading requires ``--judge``, so that a missing one is reported before any call.
        options: valid names of ``--grader-option NAME=VALUE``.
        check: raises, before any call, the errors that grading would raise: a missing extra, a wrong option.
    """

    name: str
    title: str
    hub: HubSource
    licence: str
    size: int
    metric: str
    read: RowReader
    grade: Grader
    summarize: Summarize
    weigh: Weight = equal_weight
    publish: Callable[[Sequence[GradedAnswer], GradingContext], None] | None = None
    stratum: str | None = None
    pick: Callable[[int], tuple[int, ...]] | None = None
    published_rows: int | None = None
    baseline: Baseline | None = None
    paper: tuple[tuple[str, str], ...] = ()
    paper_judge: str | None = None
    paper_reward: str | None = None
    needs_judge: bool = False
    check: Callable[[GradingContext], None] | None = None
    options: tuple[str, ...] = ()
