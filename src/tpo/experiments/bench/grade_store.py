"""Store of grades: each grade is on disk before it is used, and no answer is graded twice.

``grades.jsonl`` has one line per grade with a checksum; answers of damaged lines are graded again. The key of
a grade is a hash of everything it depends on, so equal answers of several methods are graded once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.errors import PolicyError, RewardError, TpoError, reworded
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.graders.base import Answer, Grade, GradingContext, ungraded
from tpo.policies.wrapper import closing
from tpo.store.journal import request_hash
from tpo.store.jsonline import plain, seal, unseal
from tpo.store.lines import AppendFile

log = logging.getLogger(__name__)

FILE = "grades.jsonl"
REFUSED = "refused by the judge"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class GradeStore:
    """Stored grades of *benchmark* in *folder*."""

    benchmark: Benchmark
    folder: Path

    async def grade_all(self, answers: Sequence[Answer], context: GradingContext) -> list[Grade]:
        """Return the grade of each of *answers*; stored grades are not requested again.

        Answers that could not be graded are graded again by the next invocation. A question that a judge
        refuses while it grades others is ungraded, with its reason.

        Raises:
            TpoError: the grader failed; finished grades are kept, and the same command resumes.
        """
        keys = [grade_key(self.benchmark, answer, context) for answer in answers]
        stored = read_grades(self.folder / FILE)
        todo = {k: a for k, a in zip(keys, answers, strict=True) if k not in stored}
        if todo:
            graded = [a for k, a in zip(keys, answers, strict=True) if k in stored]
            stored |= await self._grade(todo, context, graded[:1])
        missing = ungraded("the grader returned no grade")
        return [stored.get(k, missing) for k in keys]

    async def _grade(
        self, todo: dict[str, Answer], context: GradingContext, control: Sequence[Answer]
    ) -> dict[str, Grade]:
        """Grade *todo* and store each grade before it is used; *control* was graded by an earlier call."""
        keys, answers = list(todo), list(todo.values())
        fresh: dict[str, Grade] = {}
        file = AppendFile(self.folder / FILE)

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

    async def _still_grades(self, error: TpoError, there: Sequence[Answer], context: GradingContext) -> bool:
        """Return whether the judge that raised *error* still grades an answer it has graded before."""
        if not isinstance(error, PolicyError | RewardError) or not there:
            return False
        return (await self._alone(there[0], context)).verdict != REFUSED

    async def _alone(self, answer: Answer, context: GradingContext) -> Grade:
        """Return the grade of one answer; ungraded if the judge refuses it."""
        try:
            async with closing(self.benchmark.grade([answer], context)) as graded:
                async for _, grade in _checked(graded, 1, self.benchmark.name):
                    return grade
        except (PolicyError, RewardError) as error:
            return Grade(None, REFUSED, {"reason": str(error)})
        return ungraded("the grader returned no grade")


def grade_key(benchmark: Benchmark, answer: Answer, context: GradingContext) -> str:
    """Return a hash of everything a grade depends on: query, answer, judge and options."""
    query = answer.query
    question = (query.id, list(query.messages), query.reference, plain(query.metadata))
    response = (answer.text, answer.baseline, answer.reward)
    judge = context.judge.name if context.judge is not None else None
    options = {name: _content(value) for name, value in context.options.items()}
    weights = [context.held_out_weights] if context.held_out_weights else []
    return request_hash(benchmark.name, question, response, judge, context.held_out_name, options, *weights)


def _content(option: str) -> str:
    """Return a digest of the file that *option* names, which may change in its place; else *option*."""
    try:
        path = Path(option).expanduser()
        return f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else option
    except (OSError, RuntimeError, ValueError):  # its reader says why
        return option


def read_grades(file: Path) -> dict[str, Grade]:
    """Return the grades in *file* by key, without ungraded answers; empty if there is no file."""
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
        log.warning("%s: %d damaged lines are skipped; their answers are graded again", file, damaged)
    return found


async def _checked(
    graded: AsyncIterator[tuple[int, Grade]], count: int, name: str
) -> AsyncIterator[tuple[int, Grade]]:
    """Yield *graded* after checking that each position is valid and occurs once.

    Raises:
        TpoError: the grader is faulty.
    """
    seen: set[int] = set()
    async for position, grade in graded:
        if position in seen or not 0 <= position < count:
            raise TpoError(
                f"the grader of {name} is faulty: position {position} of {count:,} is repeated or invalid"
            )
        if grade.score is not None and not math.isfinite(grade.score):
            raise TpoError(f"the grader of {name} is faulty: the score {grade.score!r} is not finite")
        seen.add(position)
        yield position, grade


def _line(
    benchmark: Benchmark, grade_key: str, answer: Answer, grade: Grade, context: GradingContext
) -> bytes:
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "key": grade_key,
        "benchmark": benchmark.name,
        "id": answer.query.id,
        "score": grade.score,
        "verdict": grade.verdict,
        "judge": context.judge.name if context.judge is not None else None,
        "details": plain(grade.details),
    }
    return seal(record)


def _failed(error: TpoError, graded: int, count: int) -> TpoError:
    """Return *error* with the number of kept grades, and of the same class, which decides about retries."""
    kept = f"({graded:,} of {count:,} answers were graded and are kept; the same command resumes)"
    return reworded(error, f"{error} {kept}")
