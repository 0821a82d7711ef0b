import asyncio
from collections.abc import Sequence

import pytest

from tests.experiments.bench.scripted import answer, judge
from tpo.errors import ConfigError, PolicyError, PolicyRefused
from tpo.experiments.bench.graders.base import (
    Answer,
    Grade,
    GradedAnswer,
    GradingContext,
    async_grader,
    ungraded,
)
from tpo.experiments.bench.graders.metrics import mean_metric, mean_score


async def collected(grader: object, answers: Sequence[Answer]) -> tuple[dict[int, Grade], Exception | None]:
    found: dict[int, Grade] = {}
    try:
        async for position, grade in grader(answers, GradingContext()):  # type: ignore[operator]
            found[position] = grade  # noqa: PERF403 - what came before a failure is looked at
    except PolicyError as error:
        return found, error
    return found, None


async def test_each_answer_is_graded_and_told_by_its_position() -> None:
    async def grade(one: Answer, _: GradingContext) -> Grade:
        return Grade(float(len(one.text)), "scored")

    found, error = await collected(async_grader(grade), [answer("a"), answer("bb")])
    assert ({at: g.score for at, g in found.items()}, error) == ({0: 1.0, 1: 2.0}, None)


async def test_a_failure_lets_the_others_end_first_and_the_fatal_one_is_told() -> None:
    async def grade(one: Answer, _: GradingContext) -> Grade:
        if one.text == "bad":
            raise PolicyError("passing")
        if one.text == "worse":
            raise PolicyRefused("for good")
        await asyncio.sleep(0)
        return Grade(1.0, "ok")

    found, error = await collected(
        async_grader(grade), [answer("bad"), answer("a"), answer("worse"), answer("b")]
    )
    assert sorted(found) == [1, 3]
    assert isinstance(error, PolicyRefused)


def test_a_judge_that_is_missing_is_asked_for_by_name() -> None:
    with pytest.raises(ConfigError, match=r"xstest is graded by a judge: .* the paper's is X"):
        GradingContext().need_judge("xstest", "the paper's is X")
    known = judge("7")
    assert GradingContext(judge=known).need_judge("xstest") is known


def test_ungraded_answers_are_counted_and_in_no_mean() -> None:
    graded = [
        GradedAnswer(answer("", name="a"), Grade(1.0, "ok")),
        GradedAnswer(answer("", name="b"), Grade(0.0, "no")),
        GradedAnswer(answer("", name="c"), ungraded("nonsense")),
    ]
    metric = mean_metric("accuracy", graded, scale=100, unit="%")
    assert (metric.value, metric.graded, metric.ungraded) == (50.0, 2, 1)
    assert metric.low is not None
    assert metric.high is not None
    assert metric.low <= 50 <= metric.high


def test_where_nothing_can_be_graded_there_is_no_number() -> None:
    metric = mean_metric("accuracy", [GradedAnswer(answer(""), ungraded("nonsense"))])
    assert (metric.value, metric.note) == (None, "nothing could be graded")
    assert mean_metric("accuracy", []).value is None


def test_seeds_of_a_query_are_drawn_together() -> None:
    twice = [GradedAnswer(answer("", name="q", seed=seed), Grade(float(seed), "x")) for seed in (1, 3)]
    metric = mean_metric("m", twice)
    # Two answers to one query are one observation, which tells nothing of its spread.
    assert (metric.value, metric.low, metric.high, metric.graded) == (2.0, None, None, 2)


def test_the_judge_stands_beside_its_number() -> None:
    graded = [GradedAnswer(answer(""), Grade(1.0, "ok"))]
    assert mean_score("m")(graded, GradingContext(judge=judge("x", "gpt-9")))[0].by == "gpt-9"
    assert mean_score("m", by="package")(graded, GradingContext())[0].by == "package"
