"""What grading speaks in: an answer goes in, a grade comes out, and grades add up to metrics.

A grader is an async callable over all answers that yields each grade as soon as it is there, so that what
is graded is kept whatever happens to the rest. An answer that cannot be graded is yielded as *ungraded*:
counted, shown, never scored by guess. A judge that does not answer is an error, raised as anywhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tpo.errors import ConfigError
from tpo.experiments.bench.judge import Judge
from tpo.policies.siblings import as_finished
from tpo.rewards.base import Reward
from tpo.types import Query


@dataclass(frozen=True, slots=True)
class Answer:
    """One final answer to grade; the row's own columns are ``query.metadata``, its gold ``query.reference``.

    Attributes:
        query: what was asked.
        text: the answer.
        seed: of the run that gave it; with several seeds a query has several answers.
        reward: what the run's own reward gave it; None where none did.
        baseline: the opponent's answer, where the benchmark has one.
        generator: who wrote *text*, for files: policy, method with its shape, before or after, and seed.
    """

    query: Query
    text: str
    seed: int = 7
    reward: float | None = None
    baseline: str | None = None
    generator: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """What an answer is worth.

    Attributes:
        score: larger is better, in the benchmark's own unit; None: it could not be graded.
        verdict: the score in a word: ``correct``, ``refusal``, ``ungraded``.
        details: what led to it, in JSON's own types, kept in ``grades.jsonl``: replies of the judge, games.
    """

    score: float | None
    verdict: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def is_graded(self) -> bool:
        """Whether it counts."""
        return self.score is not None


def ungraded(reason: str, **details: Any) -> Grade:
    """A grade for what cannot be graded: *reason* is shown, and the answer is left out of every mean."""
    return Grade(None, "ungraded", {"reason": reason} | details)


@dataclass(frozen=True, slots=True)
class Graded:
    """An answer with its grade."""

    answer: Answer
    grade: Grade


@dataclass(frozen=True, slots=True)
class Context:
    """What a grader may lean on.

    Attributes:
        judge: the language model behind ``--judge``; None: none was named. See :meth:`need_judge`.
        folder: where a grader may keep files of its own.
        is_whole: whether the answers cover every row of the published set, in its order; False for
            ``--limit`` and for data of another size. What is right on the whole set only is refused then.
        reward: the name of the reward that guided the run.
        held_out: the reward of ``--check-reward``, which guided nothing, and *held_out_name*; None: none.
        opponent: who wrote the answers that ours are compared with; empty: nobody, or the published opponent.
        options: what the user said with ``--grader-option NAME=VALUE``.
    """

    judge: Judge | None = None
    folder: Path = Path()
    is_whole: bool = True
    reward: str = ""
    held_out: Reward | None = None
    held_out_name: str = ""
    opponent: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def need_judge(self, benchmark: str, advice: str = "") -> Judge:
        """The judge.

        Raises:
            ConfigError: none was named; *advice* says which one the paper took.
        """
        if self.judge is None:
            also = f"; {advice}" if advice else ""
            raise ConfigError(f"{benchmark} is graded by a judge: name one with --judge URL#MODEL{also}")
        return self.judge


Grader = Callable[[Sequence[Answer], Context], AsyncIterator[tuple[int, Grade]]]
"""Yields, in any order, the position of an answer among those given and its grade, each position once."""

GradeOne = Callable[[Answer, Context], Awaitable[Grade]]


def one_by_one(grade: GradeOne) -> Grader:
    """A grader that asks *grade* for each answer by itself, all at once; the judge bounds its calls.

    A failure lets what is under way end and be kept, then it is raised.
    """

    async def grader(answers: Sequence[Answer], context: Context) -> AsyncIterator[tuple[int, Grade]]:
        failures: list[Exception] = []

        async def at(position: int) -> tuple[int, Grade] | None:
            try:
                return position, await grade(answers[position], context)
            except Exception as failure:  # noqa: BLE001 - raised below, once the others are in
                failures.append(failure)
                return None

        async for found in as_finished(at(position) for position in range(len(answers))):
            if found is not None:
                yield found
        if failures:
            raise next((f for f in failures if getattr(f, "fatal", False)), failures[0])

    return grader


def at_once(grade: Callable[[Answer], Grade]) -> Grader:
    """A grader from a plain function, run in a thread so that slow ones never block the loop."""

    async def threaded(answer: Answer, _: Context) -> Grade:
        return await asyncio.to_thread(grade, answer)

    return one_by_one(threaded)


@dataclass(frozen=True, slots=True)
class Metric:
    """A number over all answers, as it stands in a table.

    Attributes:
        name: ``accuracy``, ``win_rate``, ``length_controlled_win_rate``.
        value: in *unit*; None: refused, and *note* says why.
        low, high: a 95% interval over queries; None where there is none.
        unit: ``%`` or nothing.
        graded, ungraded: answers that count, and that could not be graded.
        by: who graded: the judge's name, a package and its version, a reward.
        note: what a reader must know beside the number: that the judge is not the paper's, say.
        skewed: whether few queries with a skewed distribution make the interval cover less than 95%.
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


Weigh = Callable[[Grade], float]
"""How much a grade counts in the mean."""


def equally(grade: Grade) -> float:
    """Count every grade once."""
    del grade
    return 1.0


Summarize = Callable[[Sequence[Graded], Context], tuple[Metric, ...]]
"""The metrics of one arm (method and when), called for each seed and once for all seeds together."""
