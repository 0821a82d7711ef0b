import json
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.bench.pairwise.judges import answer, asked, by_request, judge
from tpo.errors import ConfigError, DataError, PolicyError, PolicyRefused
from tpo.experiments.bench.graders.base import Answer, Grade, GradedAnswer, GradingContext
from tpo.experiments.bench.graders.judge import ATTEMPTS
from tpo.experiments.bench.pairwise.arena_files import ArenaFolder
from tpo.experiments.bench.pairwise.arena_games import Arena
from tpo.policies.scripted import PolicyCall, Reply

ARENA = Arena("arena-hard-v0.1", "arena-hard-v0.1", "gpt-4-0314", 4096, "gpt-4-1106-preview")


MODEL = "small-model-tpo-D2-N5-after-seed"


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def uids(file: Path) -> list[str]:
    return [row["uid"] for row in rows(file)]


def fair(text: str) -> str:
    """Prefers the answer that says ``good``, clearly; else a tie."""
    a, b = text.index("<answer_a>"), text.index("<answer_b>")
    place = text.find("good")
    return "[[A=B]]" if place < 0 else "[[A>>B]]" if a < place < b else "[[B>>A]]"


async def graded(answers: list[Answer], context: GradingContext) -> list[Grade]:
    found = {position: grade async for position, grade in ARENA.grade(answers, context)}
    return [found[position] for position in sorted(found)]


async def judged(reply: Reply, answers: list[Answer], tmp_path: Path) -> list[Grade]:
    return await graded(answers, GradingContext(judge(reply)[0], tmp_path))


async def test_the_sides_are_swapped_between_the_games(tmp_path: Path) -> None:
    found, policy = judge("[[A=B]]")
    await graded([answer("a", "mine", "theirs")], GradingContext(found, tmp_path))
    first, second = map(asked, policy.calls)
    assert first.index("theirs") < first.index("mine")
    assert second.index("mine") < second.index("theirs")
    assert all(call.sampling.temperature == 0 for call in policy.calls)
    assert all(call.sampling.max_tokens == 4096 for call in policy.calls)


@pytest.mark.parametrize(
    ("mine", "theirs", "score", "verdict"),
    [("good", "poor", 1.0, "win"), ("poor", "good", 0.0, "loss"), ("poor", "poor", 0.5, "tie")],
)
async def test_a_fair_judge_is_followed(
    mine: str, theirs: str, score: float, verdict: str, tmp_path: Path
) -> None:
    (grade,) = await judged(by_request(fair), [answer("a", mine, theirs)], tmp_path)
    assert (grade.score, grade.verdict) == (score, verdict)


@pytest.mark.parametrize("label", ["A>B", "A>>B", "B>A", "B>>A"])
async def test_a_judge_that_prefers_a_place_gives_half(label: str, tmp_path: Path) -> None:
    answers = [answer(uid, "good", "poor") for uid in "abcd"]
    assert [g.score for g in await judged(f"[[{label}]]", answers, tmp_path)] == [0.5] * 4


async def test_nonsense_is_asked_again_then_left_ungraded_and_its_siblings_stand(tmp_path: Path) -> None:
    found, policy = judge(by_request(lambda text: "who knows" if "prompt b" in text else "[[A>B]]"))
    first, second = await graded([answer("a"), answer("b")], GradingContext(found, tmp_path))
    assert first.verdict == "tie"
    assert second.score is None
    assert second.details["reason"] == (
        "no verdict such as [[A>B]] in the judge's reply to the first and second game"
    )
    assert sum("prompt b" in asked(call) for call in policy.calls) == 2 * ATTEMPTS


async def test_a_verdict_that_comes_at_the_second_asking_counts(tmp_path: Path) -> None:
    def reply(call: PolicyCall, index: int) -> str:
        return "hm" if call.scope.step == 0 else "[[B>A]]"

    (grade,) = await judged(reply, [answer("a")], tmp_path)
    assert (grade.score, grade.details["attempts"]) == (0.5, [2, 2])


async def test_a_judge_that_fails_in_the_middle_loses_that_query_alone(tmp_path: Path) -> None:
    def reply(call: PolicyCall, index: int) -> str | Exception:
        return PolicyError("cut off") if "prompt b" in asked(call) else "[[A>B]]"

    found: list[int] = []

    async def collect() -> None:
        context = GradingContext(judge(reply)[0], tmp_path)
        async for position, _ in ARENA.grade([answer("a"), answer("b"), answer("c")], context):
            found.append(position)

    with pytest.raises(PolicyError, match="cut off"):
        await collect()
    assert sorted(found) == [0, 2]


async def test_a_refusal_in_one_game_is_raised_before_a_passing_failure_in_the_other(tmp_path: Path) -> None:
    def reply(call: PolicyCall, index: int) -> Exception:
        first = asked(call).index("theirs") < asked(call).index("mine")
        return PolicyError("cut off") if first else PolicyRefused("wrong key")

    with pytest.raises(PolicyRefused, match="wrong key"):
        await judged(reply, [answer("a")], tmp_path)


async def test_without_a_baseline_the_query_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="query 'a' has no answer of gpt-4-0314"):
        await judged("[[A>B]]", [answer("a", baseline=None)], tmp_path)


def test_neither_judge_nor_judgments_is_refused_before_any_call() -> None:
    with pytest.raises(ConfigError, match=r"--judge URL#MODEL; the published numbers are by gpt-4-1106"):
        ARENA.check(GradingContext())
    ARENA.check(GradingContext(options={"judgments": "later"}))


async def test_all_answers_and_the_games_that_were_judged_are_written(tmp_path: Path) -> None:
    found, _ = judge(by_request(lambda text: "hm" if "prompt b" in text else "[[A>B]]"))
    answers, context = [answer("a"), answer("b"), answer("a", seed=8)], GradingContext(found, tmp_path)
    grades = await graded(answers, context)
    ARENA.write([GradedAnswer(a, g) for a, g in zip(answers, grades, strict=True)], context)
    here = ArenaFolder(tmp_path, "arena-hard-v0.1")
    both, other = here.answers(f"{MODEL}-7"), here.answers(f"{MODEL}-8")
    assert (uids(both), uids(other)) == (["a", "b"], ["a"])
    assert uids(here.judgments("scripted", f"{MODEL}-7")) == ["a"]
    (row,) = rows(here.judgments("scripted", f"{MODEL}-8"))
    assert list(row) == ["uid", "category", "judge", "model", "baseline", "games"]
    assert (row["category"], row["baseline"]) == ("arena-hard-v0.1", "gpt-4-0314")
    assert row["games"][0] == {"score": "A>B", "judgment": {"answer": "[[A>B]]"}}


async def test_our_judgments_are_read_back_without_a_judge(tmp_path: Path) -> None:
    answers = [answer("a", "good", "poor"), answer("b", "poor", "good")]
    context = GradingContext(judge(by_request(fair))[0], tmp_path)
    before = await graded(answers, context)
    ARENA.write([GradedAnswer(a, g) for a, g in zip(answers, before, strict=True)], context)
    place = str(tmp_path / "data/arena-hard-v0.1/model_judgment/scripted")
    after = await graded(answers, GradingContext(folder=tmp_path, options={"judgments": place}))
    assert [g.score for g in after] == [g.score for g in before] == [1.0, 0.0]
    assert after[0].details["judge"] == "scripted"


async def test_judgments_yet_to_come_leave_answers_written_and_ungraded(tmp_path: Path) -> None:
    context = GradingContext(folder=tmp_path, options={"judgments": str(tmp_path / "later")})
    (grade,) = await graded([answer("a")], context)
    assert grade.score is None
    reason = grade.details["reason"]
    assert f"later/{MODEL}-7.jsonl has no two verdicts on it" in reason
    assert "judge the answers written here, then run again" in reason
    ARENA.write([GradedAnswer(answer("a"), grade)], context)
    assert uids(ArenaFolder(tmp_path, "arena-hard-v0.1").answers(f"{MODEL}-7")) == ["a"]


async def test_a_judgment_of_another_answer_is_refused(tmp_path: Path) -> None:
    prompt = [{"role": "user", "content": "A: theirs B: something else"}]
    games = [{"score": "A>B", "prompt": prompt}] * 2
    file = tmp_path / f"{MODEL}-7.jsonl"
    file.write_text(json.dumps({"uid": "a", "judge": "j", "games": games}) + "\n")
    with pytest.raises(DataError, match="the judgment of 'a' belongs to another answer"):
        await graded([answer("a")], GradingContext(folder=tmp_path, options={"judgments": str(tmp_path)}))
