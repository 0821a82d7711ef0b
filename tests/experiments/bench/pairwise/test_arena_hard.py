import json
from pathlib import Path

import pytest

from tests.experiments.bench.pairwise.judges import by_request, judge
from tpo.errors import DataError
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.graders.base import Answer, GradedAnswer, GradingContext
from tpo.experiments.bench.pairwise.arena_hard import (
    ARENA_HARD_V01,
    ARENA_HARD_V20,
    ARENA_HARD_V20_CREATIVE,
)
from tpo.experiments.bench.query_set import QuerySet, load_query_set
from tpo.experiments.bench.registry import load_benchmark

DATA = Path(__file__).parent / "data"
ALL = (ARENA_HARD_V01, ARENA_HARD_V20, ARENA_HARD_V20_CREATIVE)


def v01() -> QuerySet:
    return load_query_set(
        ARENA_HARD_V01,
        str(DATA / "arena-hard-v0.1-question.jsonl"),
        baseline=str(DATA / "arena-hard-v0.1-gpt-4-0314.jsonl"),
    )


def answers(asked: QuerySet, text: str) -> list[Answer]:
    return [Answer(q, text, baseline=asked.baselines[q.id], generator="tpo m") for q in asked.queries]


async def grades(benchmark: Benchmark, found: list[Answer], context: GradingContext) -> list[GradedAnswer]:
    return [GradedAnswer(found[at], grade) async for at, grade in benchmark.grade(found, context)]


@pytest.mark.parametrize("benchmark", ALL, ids=lambda b: b.name)
def test_each_is_found_by_its_name(benchmark: Benchmark) -> None:
    assert load_benchmark(benchmark.name) is benchmark


def test_rows_become_queries_with_the_opponents_answers_by_id() -> None:
    asked = v01()
    assert [q.id for q in asked.queries] == ["a1", "a2", "a3", "a4"]
    assert asked.baselines["a2"] == "Opponent on a2."
    assert asked.queries[0].metadata == {"category": "arena-hard-v0.1", "cluster": "Made Up"}
    assert asked.notes == ("the data has 4 rows; the published set has 500",)


def test_of_the_published_rows_each_kind_of_version_2_is_asked_apart() -> None:
    assert ARENA_HARD_V20.pick is not None
    assert ARENA_HARD_V20_CREATIVE.pick is not None
    hard, creative = ARENA_HARD_V20.pick(750), ARENA_HARD_V20_CREATIVE.pick(750)
    assert (len(hard), len(creative)) == (ARENA_HARD_V20.size, ARENA_HARD_V20_CREATIVE.size) == (500, 250)
    assert (*hard, *creative) == tuple(range(750))
    assert ARENA_HARD_V20.pick is not None
    assert ARENA_HARD_V20.pick(3) == (0, 1, 2)


def test_a_row_of_the_other_kind_is_refused_with_its_line() -> None:
    with pytest.raises(
        DataError, match=r"question.jsonl:1: the category is 'hard_prompt'; .* has only 'creative_writing'"
    ):
        load_query_set(ARENA_HARD_V20_CREATIVE, str(DATA / "arena-hard-v2.0-question.jsonl"))


@pytest.mark.parametrize("missing", ["uid", "category", "prompt"])
def test_a_row_without_a_column_is_refused_with_its_line(missing: str, tmp_path: Path) -> None:
    row = {"uid": "a", "category": "arena-hard-v0.1", "prompt": "p"}
    del row[missing]
    (tmp_path / "q.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=f"q.jsonl:1: there is no column '{missing}'"):
        load_query_set(ARENA_HARD_V01, str(tmp_path / "q.jsonl"))


def test_a_query_without_an_opponent_is_refused(tmp_path: Path) -> None:
    lines = (DATA / "arena-hard-v0.1-gpt-4-0314.jsonl").read_text().splitlines()
    (tmp_path / "b.jsonl").write_text(lines[0] + "\n")
    with pytest.raises(
        DataError, match=r"3 queries have no answer of gpt-4-0314.*: a1, a2, a3; .*--baseline"
    ):
        load_query_set(
            ARENA_HARD_V01, str(DATA / "arena-hard-v0.1-question.jsonl"), baseline=str(tmp_path / "b.jsonl")
        )


async def test_from_rows_to_a_win_rate_that_names_judge_opponent_and_wording(tmp_path: Path) -> None:
    asked = v01()
    found, _ = judge(by_request(lambda text: "[[A>B]]" if "prompt" in text else ""))
    context = GradingContext(found, tmp_path, is_whole=asked.is_whole)
    graded = await grades(ARENA_HARD_V01, answers(asked, "an answer"), context)
    (metric,) = ARENA_HARD_V01.summarize(graded, context)
    assert (metric.name, metric.value, metric.graded, metric.by) == ("win_rate", 50.0, 4, "scripted")
    assert "against gpt-4-0314" in metric.note
    assert "judging prompt: tpo's own wording" in metric.note
    assert "its authors' numbers are by gpt-4-1106-preview" in metric.note
    assert ARENA_HARD_V01.publish is not None
    ARENA_HARD_V01.publish(graded, context)
    (file,) = (tmp_path / "data/arena-hard-v0.1/model_answer").iterdir()
    assert len(file.read_text().splitlines()) == 4


@pytest.mark.parametrize("benchmark", ALL)
def test_only_version_2_says_that_style_is_not_controlled(benchmark: Benchmark, tmp_path: Path) -> None:
    (metric,) = benchmark.summarize([], GradingContext(None, tmp_path))
    assert ("without style control" in metric.note) == ("v2.0" in benchmark.name)


async def test_the_published_judge_needs_no_warning(tmp_path: Path) -> None:
    asked = v01()
    found, policy = judge("[[B>>A]]")
    context = GradingContext(type(found)("openai/gpt-4-1106-preview", policy), tmp_path)
    graded = await grades(ARENA_HARD_V01, answers(asked, "an answer"), context)
    assert "authors' numbers" not in ARENA_HARD_V01.summarize(graded, context)[0].note


async def test_creative_writing_is_judged_by_other_criteria(tmp_path: Path) -> None:
    said = {}
    for benchmark, file in (
        (ARENA_HARD_V20, "arena-hard-v2.0-question.jsonl"),
        (ARENA_HARD_V20_CREATIVE, "arena-hard-v2.0-creative-question.jsonl"),
    ):
        rows = [json.loads(line) for line in (DATA / file).read_text().splitlines()]
        opponent = tmp_path / f"{benchmark.name}.jsonl"
        messages = [{"role": "assistant", "content": {"answer": "x"}}]
        opponent.write_text("".join(json.dumps({"uid": r["uid"], "messages": messages}) + "\n" for r in rows))
        asked = load_query_set(benchmark, str(DATA / file), baseline=str(opponent))
        found, policy = judge("[[A=B]]")
        await grades(benchmark, answers(asked, "y"), GradingContext(found, tmp_path / benchmark.name))
        said[benchmark.name] = {str(call.messages[0]["content"]) for call in policy.calls}
        assert {call.sampling.max_tokens for call in policy.calls} == {16_000}
    assert len(set.union(*said.values())) == 2
