"""Types of grading: answers, grades, graders and metrics.

A grader is an async callable over all answers that yields each grade as soon as it is known, so that finished
grades are kept if a later one fails. An answer that cannot be graded is yielded as *ungraded*: it is counted
and shown, never scored by guess. A judge that does not answer raises an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tpo.errors import ConfigError
from tpo.experiments.bench.graders.judge import Judge
from tpo.policies.siblings import as_finished
from tpo.rewards.base import Reward
from tpo.types import Query


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to grade; ``query.metadata`` holds the row's columns, ``query.reference`` the reference.

    Attributes:
        query: the query.
        text: the answer.
        seed: seed of the run; with several seeds a query has several answers.
        reward: score by the run's own reward; None if it has none.
        baseline: the opponent's answer, if the benchmark has an opponent.
        generator: author of *text* for files: policy, method with its shape, before or after, and seed.
    """

    query: Query
    text: str
    seed: int = 7
    reward: float | None = None
    baseline: str | None = None
    generator: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """Grade of an answer.

    Attributes:
        score: larger is better, in the benchmark's unit; None: the answer could not be graded.
        verdict: the score in a word: ``correct``, ``refusal``, ``ungraded``.
        details: evidence as JSON values, stored in ``grades.jsonl``: replies of the judge, games.
    """

    score: float | None
    verdict: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def is_graded(self) -> bool:
        """True if the grade has a score."""
        return self.score is not None


def ungraded(reason: str, **details: Any) -> Grade:
    """Return a grade without a score: *reason* is shown, and the answer is excluded from every mean."""
    return Grade(None, "ungraded", {"reason": reason} | details)


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """An answer with its grade."""

    answer: Answer
    grade: Grade


@dataclass(frozen=True, slots=True)
class GradingContext:
    """Resources and options of a grader.

    Attributes:
        judge: the language model of ``--judge``; None: none was named. See :meth:`need_judge`.
        folder: directory for files of the grader's own.
        is_whole: the answers cover every row of the published set in its order; False with ``--limit`` and
            for data of another size. Metrics that are only valid on the whole set are not computed then.
        reward: name of the guiding reward.
        held_out: the reward of ``--check-reward``, which guides no run; None: there is none.
        held_out_name: its name.
        held_out_weights: digest of its weights, source and options.
        opponent: author of the baseline answers; empty: no opponent, or the published one.
        options: values of ``--grader-option NAME=VALUE``.
    """

    judge: Judge | None = None
    folder: Path = Path()
    is_whole: bool = True
    reward: str = ""
    held_out: Reward | None = None
    held_out_name: str = ""
    held_out_weights: str = ""
    opponent: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def need_judge(self, benchmark: str, advice: str = "") -> Judge:
        """Return the judge.

        Raises:
            ConfigError: no judge was named; *advice* names the paper's judge.
        """
        if self.judge is None:
            also = f"; {advice}" if advice else ""
            raise ConfigError(f"{benchmark} is graded by a judge: name one with --judge URL#MODEL{also}")
        return self.judge


Grader = Callable[[Sequence[Answer], GradingContext], AsyncIterator[tuple[int, Grade]]]
"""Yields the position and the grade of each given answer, in any order, each position once."""

GradeAnswer = Callable[[Answer, GradingContext], Awaitable[Grade]]


def async_grader(grade: GradeAnswer) -> Grader:
    """Return a grader that awaits *grade* for all answers concurrently; the judge limits its calls.

    After a failure the calls in flight finish and their grades are kept; then the failure is raised.
    """

    async def grader(answers: Sequence[Answer], context: GradingContext) -> AsyncIterator[tuple[int, Grade]]:
        failures: list[Exception] = []

        async def at(position: int) -> tuple[int, Grade] | None:
            try:
                return position, await grade(answers[position], context)
            except Exception as failure:  # noqa: BLE001 - raised below, after the other calls have finished
                failures.append(failure)
                return None

        async for found in as_finished(at(position) for position in range(len(answers))):
            if found is not None:
                yield found
        if failures:
            raise next((f for f in failures if getattr(f, "fatal", False)), failures[0])

    return grader


def sync_grader(grade: Callable[[Answer], Grade]) -> Grader:
    """Return a grader that runs *grade* in a thread, so that it does not block the event loop."""

    async def threaded(answer: Answer, _: GradingContext) -> Grade:
        return await asyncio.to_thread(grade, answer)

    return async_grader(threaded)


@dataclass(frozen=True, slots=True)
class Metric:
    """A number over all answers, as shown in tables.

    Attributes:
        name: ``accuracy``, ``win_rate``, ``length_controlled_win_rate``.
        value: the value in *unit*; None: not computed, for the reason in *note*.
        low, high: 95% interval over queries; None if there is none.
        unit: ``%`` or empty.
        graded, ungraded: number of answers that count, and of answers that could not be graded.
        by: grader: the judge's name, a package and its version, or a reward.
        note: notes on the number, such as a judge that is not the paper's.
        skewed: a small sample with a skewed distribution: the interval covers less than 95%.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    graded: int = 0
    ungraded: int = 0
    by: str = ""
    note: str = ""
    skewed: bool = False


Weight = Callable[[Grade], float]
"""Returns the weight of a grade in the mean."""


def equal_weight(grade: Grade) -> float:
    """Return the same weight, 1, for every grade."""
    del grade
    return 1.0


Summarize = Callable[[Sequence[GradedAnswer], GradingContext], tuple[Metric, ...]]
"""Returns the metrics of one method, before or after; called for each seed and for all seeds together."""
