"""IFEval and IFBench: instructions that a program can check (Zhou et al. 2023; Pyatkin et al. 2025).

An answer is right by prompt if it follows all instructions of the prompt. The loose form also accepts the
answer without its first or last line, and without asterisks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from tpo.data.hub import HubSource
from tpo.data.row import Row
from tpo.errors import DataError, RewardRefused
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.columns import as_record, column
from tpo.experiments.bench.graders.base import (
    Answer,
    Grade,
    GradeAnswer,
    GradedAnswer,
    GradingContext,
    Metric,
    Summarize,
    async_grader,
    ungraded,
)
from tpo.experiments.bench.graders.metrics import mean_metric
from tpo.rewards.verify.ifeval import ARGUMENTS, IDS, followed_instructions, load_checks, load_ifbench_checks
from tpo.types import Query, user

FORMS = ("strict", "loose")


def _read(row: Row, position: int) -> Query:
    lists = {name: _list(row, name) for name in (IDS, ARGUMENTS)}
    if not lists[IDS] or len(lists[IDS]) != len(lists[ARGUMENTS]):
        raise DataError(f"{row.place}: {IDS} and {ARGUMENTS} must have the same length, at least 1")
    metadata = {**lists, "position": position, "kind": str(lists[IDS][0]).partition(":")[0]}
    return Query(_key(row), (user(column(row, "prompt")),), metadata=metadata)


def _key(row: Row) -> str:
    value = as_record(row).get("key")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else column(row, "key")


def _list(row: Row, name: str) -> list[object]:
    value = as_record(row).get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise DataError(f"{row.place}: {name!r} is not valid JSON") from error
    if not isinstance(value, list):
        raise DataError(f"{row.place}: {name!r} must be a list")
    return value


def _grade(form: str) -> GradeAnswer:
    async def grade(answer: Answer, _: GradingContext) -> Grade:
        try:
            found = {
                each: await asyncio.to_thread(
                    followed_instructions, answer.text, answer.query, loose=each == "loose"
                )
                for each in FORMS
            }
        except (ValueError, RewardRefused) as error:
            return ungraded(str(error))
        right = all(found[form].values())
        return Grade(float(right), "followed" if right else "not followed", found)

    return grade


def _summarize(leading: str) -> Summarize:
    """Return the summary with the *leading* form first: accuracy by prompt, then by instruction."""

    def summarize(graded: Sequence[GradedAnswer], _: GradingContext) -> tuple[Metric, ...]:
        forms = sorted(FORMS, key=lambda form: form != leading)
        found = [_percent(f"prompt_{form}", [_of(each, form) for each in graded]) for form in forms]
        for form in forms:
            shares = [_of(each, form, by_instruction=True) for each in graded]
            found.append(_percent(f"instruction_{form}", shares, weigh=_instructions))
        return tuple(found)

    return summarize


def _of(graded: GradedAnswer, form: str, *, by_instruction: bool = False) -> GradedAnswer:
    """Return *graded* with the score of *form*: all followed, or the share of instructions."""
    if not graded.grade.is_graded:
        return graded
    followed = list(graded.grade.details[form].values())
    score = sum(followed) / len(followed) if by_instruction else float(all(followed))
    return replace(graded, grade=replace(graded.grade, score=score))


def _instructions(grade: Grade) -> float:
    return float(len(grade.details.get("strict", ())))


def _percent(name: str, graded: Sequence[GradedAnswer], **options: object) -> Metric:
    return mean_metric(name, graded, scale=100.0, unit="%", by="if-verifiable", **options)  # type: ignore[arg-type]


def _benchmark(
    name: str, title: str, hub: str, licence: str, size: int, form: str, load: Callable[[], object]
) -> Benchmark:
    """Return a benchmark whose leading metric is by prompt in *form*; *load* loads its checks."""

    def check(_: GradingContext) -> None:
        load()

    return Benchmark(
        name=name,
        title=title,
        hub=HubSource(hub, split="train"),
        licence=licence,
        size=size,
        metric=f"prompts whose instructions are all followed, {form}ly",
        read=_read,
        grade=async_grader(_grade(form)),
        summarize=_summarize(form),
        stratum="kind",
        check=check,
    )


IFEVAL = _benchmark("ifeval", "IFEval", "google/IFEval", "Apache-2.0", 541, "strict", load_checks)
IFBENCH = _benchmark(
    "ifbench", "IFBench", "allenai/IFBench_test", "ODC-BY 1.0", 300, "loose", load_ifbench_checks
)
