from collections.abc import Sequence

import pytest

pytest.importorskip("if_verifiable")

from tests.experiments.bench.scripted import DATA, answer
from tpo.data.row import Row
from tpo.errors import DataError
from tpo.experiments.bench.graders.base import Grade, GradedAnswer, GradingContext, Metric
from tpo.experiments.bench.instructions import IFBENCH, IFEVAL
from tpo.experiments.bench.query_set import load_query_set
from tpo.types import Query, user

QUERIES = load_query_set(IFEVAL, str(DATA / "ifeval.jsonl")).queries


async def graded(query: Query, text: str) -> GradedAnswer:
    given = answer(text, name=query.id, prompt=query.text, metadata=dict(query.metadata))
    ((_, grade),) = [each async for each in IFEVAL.grade([given], GradingContext())]
    return GradedAnswer(given, grade)


def values(metrics: Sequence[Metric]) -> dict[str, float | None]:
    return {metric.name: metric.value for metric in metrics}


async def test_an_answer_is_right_if_it_follows_all_instructions() -> None:
    right = await graded(QUERIES[0], "it is long and made of stone")
    wrong = await graded(QUERIES[0], "it is long, and made of stone")
    assert (right.grade.score, wrong.grade.score) == (1.0, 0.0)
    assert wrong.grade.details["strict"] == {
        "punctuation:no_comma": False,
        "change_case:english_lowercase": True,
    }


async def test_the_loose_form_accepts_an_answer_behind_an_opening_line() -> None:
    found = await graded(QUERIES[0], "Sure, here it is:\nit is long and made of stone")
    assert found.grade.score == 0.0
    assert all(found.grade.details["loose"].values())
    loose = values(IFBENCH.summarize([found], GradingContext()))
    assert (loose["prompt_loose"], loose["prompt_strict"]) == (100.0, 0.0)


async def test_instructions_count_one_by_one_and_prompts_once() -> None:
    both = [
        await graded(QUERIES[0], "it is long, and made of stone"),
        await graded(QUERIES[1], "* a\n* b\n* c"),
    ]
    metrics = IFEVAL.summarize(both, GradingContext())
    assert metrics[0].name == "prompt_strict"
    assert values(metrics)["prompt_strict"] == 50.0
    assert values(metrics)["instruction_strict"] == pytest.approx(100 * 2 / 3)


async def test_an_instruction_that_cannot_be_checked_leaves_the_answer_ungraded() -> None:
    found = await graded(
        Query("q", (user("x"),), metadata={"instruction_id_list": ["no:such"], "kwargs": [{}]}), "x"
    )
    assert found.grade.verdict == "ungraded"
    assert "no:such" in found.grade.details["reason"]


async def test_the_checks_of_ifbench_are_known_and_nothing_is_downloaded() -> None:
    query = load_query_set(IFBENCH, str(DATA / "ifbench.jsonl")).queries[0]
    words = "harbor meadow meadow" + " violin" * 3 + " cellar" * 5 + " lantern" * 7
    assert (await graded(query, words)).grade.score == 1.0
    assert (await graded(query, words + " lantern")).grade.score == 0.0


@pytest.mark.parametrize("lists", [{"instruction_id_list": []}, {"kwargs": [{}, {}]}, {"kwargs": "{"}])
def test_a_row_without_matching_lists_is_refused_by_its_place(lists: dict[str, object]) -> None:
    row = {"key": 1, "prompt": "x", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]} | lists
    with pytest.raises(DataError, match=r"^rows, line 3: "):
        IFEVAL.read(Row("rows, line 3", row), 0)


def test_the_leading_metric_is_the_authors_own() -> None:
    nothing = GradedAnswer(answer("x"), Grade(None, "ungraded"))
    assert IFEVAL.summarize([nothing], GradingContext())[0].name == "prompt_strict"
    assert IFBENCH.summarize([nothing], GradingContext())[0].name == "prompt_loose"
