"""Grades that are kept: each is on disk before it counts, and an answer that was graded is not graded again.

``grades.jsonl`` has a line each grade, with a checksum; a damaged one is left out, its answer graded again.
A grade stands under a hash of all that led to it, so that equal answers of several methods are graded once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.errors import PolicyError, RewardError, TpoError
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.grading import Answer, Context, Grade, ungraded
from tpo.policies.wrapper import closing
from tpo.store.journal import request_hash
from tpo.store.jsonline import plain, seal, unseal
from tpo.store.lines import AppendFile

log = logging.getLogger(__name__)

NAME = "grades.jsonl"
REFUSED = "refused by the judge"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Grades:
    """The grades of *benchmark* kept in *folder*."""

    benchmark: Benchmark
    folder: Path

    async def over(self, answers: Sequence[Answer], context: Context) -> list[Grade]:
        """The grade of each of *answers*, those that are kept not asked for again.

        What could not be graded is asked for again by the next invocation: judges have better days.

        A question that a judge refuses while it grades others is ungraded, with its reason.

        Raises:
            TpoError: the grader failed; what it had graded before is kept, and the same command goes on.
        """
        keys = [key(self.benchmark, answer, context) for answer in answers]
        kept = read(self.folder / NAME)
        todo = {k: a for k, a in zip(keys, answers, strict=True) if k not in kept}
        if todo:
            graded = [a for k, a in zip(keys, answers, strict=True) if k in kept]
            kept |= await self._grade(todo, context, graded[:1])
        nothing = ungraded("the grader gave no grade")
        return [kept.get(k, nothing) for k in keys]

    async def _grade(
        self, todo: dict[str, Answer], context: Context, control: Sequence[Answer]
    ) -> dict[str, Grade]:
        """Grade *todo*, each grade on disk before it counts; *control* was graded by an earlier call."""
        keys, answers = list(todo), list(todo.values())
        fresh: dict[str, Grade] = {}
        file = AppendFile(self.folder / NAME)

        async def keep(position: int, grade: Grade) -> None:
            fresh[keys[position]] = grade
            await file.append(_line(self.benchmark, keys[position], answers[position], grade, context))

        try:
            async with closing(self.benchmark.grade(answers, context)) as graded:
                async for position, grade in _checked(graded, len(answers), self.benchmark.name):
                    await keep(position, grade)
        except TpoError as error:
            there = [todo[k] for k, grade in fresh.items() if grade.is_graded] or control
            left = [n for n, k in enumerate(keys) if k not in fresh]
            if not await self._still_grades(error, there, context):
                raise _failed(error, len(fresh), len(answers)) from error
            alone = await asyncio.gather(*(self._alone(answers[n], context) for n in left))
            for position, grade in zip(left, alone, strict=True):
                await keep(position, grade)
        finally:
            await file.close()
        return fresh

    async def _still_grades(self, error: TpoError, there: Sequence[Answer], context: Context) -> bool:
        """Return whether the judge that raised *error* still grades an answer that it graded before."""
        if not isinstance(error, PolicyError | RewardError) or not there:
            return False
        return (await self._alone(there[0], context)).verdict != REFUSED

    async def _alone(self, answer: Answer, context: Context) -> Grade:
        """Return the grade of one answer; ungraded where the judge refuses it."""
        try:
            async with closing(self.benchmark.grade([answer], context)) as graded:
                async for _, grade in _checked(graded, 1, self.benchmark.name):
                    return grade
        except (PolicyError, RewardError) as error:
            return Grade(None, REFUSED, {"reason": str(error)})
        return ungraded("the grader gave no grade")


def key(benchmark: Benchmark, answer: Answer, context: Context) -> str:
    """What a grade depends on, hashed: what was asked and answered, who judges, and how."""
    query = answer.query
    asked = (query.id, list(query.messages), query.reference, plain(query.metadata))
    said = (answer.text, answer.baseline, answer.reward)
    judge = context.judge.name if context.judge is not None else None
    return request_hash(benchmark.name, asked, said, judge, context.held_out_name, dict(context.options))


def read(file: Path) -> dict[str, Grade]:
    """The grades in *file* by their keys, without those that could not be graded; none without a file."""
    found: dict[str, Grade] = {}
    damaged = 0
    with contextlib.suppress(FileNotFoundError), file.open("rb") as lines:
        for line in lines:
            try:
                record = unseal(line)
                grade = Grade(record["score"], record["verdict"], record["details"])
            except (ValueError, KeyError):
                damaged += 1
                continue
            if record.get("schema") == SCHEMA and grade.is_graded:
                found[record["key"]] = grade
    if damaged:
        log.warning("%s: %d damaged lines are left out; their answers are graded again", file, damaged)
    return found


async def _checked(
    graded: AsyncIterator[tuple[int, Grade]], count: int, name: str
) -> AsyncIterator[tuple[int, Grade]]:
    """*graded* as it comes, each position once.

    Raises:
        TpoError: the grader broke its promise; better no number than a wrong one.
    """
    seen: set[int] = set()
    async for position, grade in graded:
        if position in seen or not 0 <= position < count:
            raise TpoError(
                f"the grader of {name} graded position {position} of {count:,} twice, or none such"
            )
        if grade.score is not None and not math.isfinite(grade.score):
            raise TpoError(f"the grader of {name} gave a score that is no finite number: {grade.score!r}")
        seen.add(position)
        yield position, grade


def _line(benchmark: Benchmark, key: str, answer: Answer, grade: Grade, context: Context) -> bytes:
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "key": key,
        "benchmark": benchmark.name,
        "id": answer.query.id,
        "score": grade.score,
        "verdict": grade.verdict,
        "judge": context.judge.name if context.judge is not None else None,
        "details": plain(grade.details),
    }
    return seal(record)


def _failed(error: TpoError, graded: int, count: int) -> TpoError:
    """*error* with what is kept; its kind stays, since it tells whether to try again."""
    said = f"{error} ({graded:,} of {count:,} answers were graded, and are kept: the same command goes on)"
    try:
        return type(error)(said)
    except TypeError:  # an error that is built from other values
        return error
