import json
from dataclasses import replace
from typing import Any

import pytest

from tests.experiments.bench.scripted import DATA, answer, asked_of, judge
from tpo.data.row import Row
from tpo.errors import ConfigError, DataError
from tpo.experiments.bench.graders.base import GradedAnswer, GradingContext
from tpo.experiments.bench.healthbench import HEALTHBENCH, rubric_score, stated_met
from tpo.experiments.bench.query_set import load_query_set
from tpo.policies.scripted import PolicyCall
from tpo.types import Query

KNEE, TEA = load_query_set(HEALTHBENCH, str(DATA / "healthbench.jsonl")).queries


def reads(call: PolicyCall, _: int) -> str:
    """A judge for which an answer meets a criterion if it has the criterion's last word."""
    text = asked_of(call)
    criterion = text.split("<criterion>")[1].split("</criterion>")[0].split()
    return json.dumps({"reason": "", "met": criterion[-1] in text.split("assistant: ")[-1].split("<")[0]})


async def graded(query: Query, text: str, context: GradingContext | None = None) -> GradedAnswer:
    given = answer(text, name=query.id, prompt=query.text, metadata=dict(query.metadata))
    context = context or GradingContext(judge=judge(reads))
    ((_, grade),) = [each async for each in HEALTHBENCH.grade([given], context)]
    return GradedAnswer(given, grade)


def test_a_score_is_the_points_met_by_the_positive_points() -> None:
    items = KNEE.metadata["rubrics"]
    assert rubric_score(items, [True, False, False]) == 5 / 8
    assert rubric_score(items, [True, True, True]) == 4 / 8
    assert rubric_score(items, [False, False, True]) == -4 / 8
    assert rubric_score(items[2:], [True]) is None


async def test_each_item_is_asked_by_itself_and_the_score_may_be_negative() -> None:
    found = await graded(KNEE, "Take this medicine")
    assert (found.grade.score, found.grade.verdict) == (-0.5, "1 of 3 met")
    assert found.grade.details["met"] == [False, False, True]


async def test_the_mean_is_clipped_and_axes_count_their_own_items() -> None:
    context = GradingContext(judge=judge(reads))
    bad = await graded(KNEE, "medicine")
    metrics = {each.name: each.value for each in HEALTHBENCH.summarize([bad], context)}
    assert metrics == {"score": 0.0, "accuracy": 0.0, "context_awareness": 0.0}
    both = [await graded(KNEE, "rest, and how long has it hurt"), await graded(TEA, "an amount")]
    metrics = {each.name: each.value for each in HEALTHBENCH.summarize(both, context)}
    assert metrics == {"score": 100.0, "accuracy": 100.0, "context_awareness": 100.0, "completeness": 100.0}


async def test_a_clipped_mean_lies_in_its_interval() -> None:
    context = GradingContext(judge=judge(reads))
    texts = ("medicine", "medicine", "medicine", "medicine, and how long has it hurt", "medicine")
    bad = [await graded(replace(KNEE, id=f"q{k}"), text) for k, text in enumerate(texts)]
    score = HEALTHBENCH.summarize(bad, context)[0]
    assert (score.value, score.low, score.high) == (0.0, 0.0, 0.0)


async def test_a_judge_that_states_nothing_leaves_the_answer_ungraded() -> None:
    found = await graded(TEA, "an amount", GradingContext(judge=judge("perhaps")))
    assert found.grade.verdict == "ungraded"
    with pytest.raises(ConfigError, match="graded by a judge"):
        await graded(TEA, "x", GradingContext())


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ('{"reason": "it {does}", "met": true}', True),
        ('```json\n{"met": False}\n```', False),
        ('<think>"met": true</think>{"met": false}', False),
        ('{"met": true} {"met": false}', None),
        ("<think>", None),
    ],
)
def test_a_verdict_is_read_or_it_is_none(text: str, met: bool | None) -> None:
    assert stated_met(text) is met


@pytest.mark.parametrize(
    ("rubrics", "said"),
    [
        ([], "at least one item"),
        ([{"points": 1}], "criterion"),
        ([{"criterion": "x", "points": -1}], "positive"),
    ],
)
def test_a_row_without_usable_rubrics_is_refused_by_its_place(rubrics: list[Any], said: str) -> None:
    row = {"prompt_id": "x", "prompt": [{"role": "user", "content": "Why?"}], "rubrics": rubrics}
    with pytest.raises(DataError, match=f"^rows, line 2: .*{said}"):
        HEALTHBENCH.read(Row("rows, line 2", row), 0)
