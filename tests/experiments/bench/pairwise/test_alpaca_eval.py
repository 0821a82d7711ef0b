import json
import math
from pathlib import Path

import pytest

pytest.importorskip("alpaca_eval")

from tests.experiments.bench.pairwise import alpaca_set
from tests.experiments.bench.pairwise.judges import asked, judge
from tpo.data.row import Row
from tpo.errors import ConfigError, DataError, PolicyError
from tpo.experiments.bench.graders.base import Answer, GradedAnswer, GradingContext
from tpo.experiments.bench.graders.judge import ATTEMPTS
from tpo.experiments.bench.pairwise.alpaca_eval import ALPACA_EVAL_2, query_id
from tpo.experiments.bench.query_set import QuerySet, load_query_set
from tpo.experiments.bench.registry import load_benchmark
from tpo.policies.scripted import Line, PolicyCall, Reply
from tpo.types import Completion, Served, WeighedSampling, plain_text

DATA = Path(__file__).parent / "data" / "alpaca_eval_gpt4_baseline.json"


def weighing(first: float) -> Completion:
    """A reply that prefers what is shown first with the chance *first*."""
    likely = {"m": math.log(first), "M": math.log(1 - first)}
    return Completion(0, "m" if first > 0.5 else "M", alternatives=(likely,))


def fair(call: PolicyCall, index: int) -> Line:
    """Prefers the answer with ``good`` in it."""
    text = asked(call)
    mine, theirs = text.index("good"), text.index("The baseline answers")
    return weighing(0.9 if mine < theirs else 0.1)


def answers(found: QuerySet, text: str = "a good answer", seed: int = 7) -> list[Answer]:
    return [Answer(q, text, seed, baseline=found.baselines[q.id], generator="tpo m") for q in found.queries]


async def graded(reply: Reply, found: list[Answer]) -> list[GradedAnswer]:
    context = GradingContext(judge(reply)[0])
    return [GradedAnswer(found[position], one) async for position, one in ALPACA_EVAL_2.grade(found, context)]


def test_it_is_found_by_its_name() -> None:
    assert load_benchmark("alpaca-eval-2") is ALPACA_EVAL_2


def test_rows_become_queries_and_their_own_file_holds_the_baseline() -> None:
    found = load_query_set(ALPACA_EVAL_2, str(DATA), baseline=str(DATA))
    assert plain_text(found.queries[2].messages[0]) == "How do I fold a paper boat?"
    assert found.queries[2].metadata == {"position": 2, "dataset": "helpful_base"}
    assert found.baselines[found.queries[2].id] == "The baseline answers number 2 in one plain line."
    assert not found.is_whole


def test_the_baseline_is_matched_by_instruction_in_any_order(tmp_path: Path) -> None:
    rows = json.loads(DATA.read_text())
    (tmp_path / "b.json").write_text(json.dumps(rows[::-1]))
    found = load_query_set(ALPACA_EVAL_2, str(DATA), baseline=str(tmp_path / "b.json"))
    assert found.baselines[query_id(rows[0]["instruction"])] == rows[0]["output"]


@pytest.mark.parametrize("row", [{"output": "x"}, {"instruction": "", "output": "x"}, {"instruction": 3}, 7])
def test_a_wrong_row_is_refused_with_its_place(row: object, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([row]))
    with pytest.raises(DataError, match=r"a.json:1 \(element 1\): "):
        load_query_set(ALPACA_EVAL_2, str(tmp_path / "a.json"), baseline=str(tmp_path / "a.json"))


async def test_the_judge_is_asked_for_one_weighed_token_a_pair() -> None:
    found, policy = judge(weighing(0.5))
    mine = answers(load_query_set(ALPACA_EVAL_2, str(DATA), baseline=str(DATA)))
    assert [one.score async for _, one in ALPACA_EVAL_2.grade(mine, GradingContext(found))] == pytest.approx(
        [0.5] * 6
    )
    assert len(policy.calls) == 6
    assert all(isinstance(c.sampling, WeighedSampling) and c.sampling.max_tokens == 1 for c in policy.calls)


async def test_a_fair_judge_is_followed_in_whatever_order_it_is_shown() -> None:
    mine = answers(load_query_set(ALPACA_EVAL_2, str(DATA), baseline=str(DATA)))
    found = await graded(fair, mine)
    assert [one.grade.score for one in found] == pytest.approx([0.9] * 6)
    assert {one.grade.verdict for one in found} == {"win"}


async def test_a_judge_that_always_prefers_the_first_gives_about_half() -> None:
    rows = alpaca_set.made_up_rows(40)
    texts = alpaca_set.made_up_outputs(40)
    mine = [
        Answer(ALPACA_EVAL_2.read(_row(row), n), text, baseline=row["output"])
        for n, (row, text) in enumerate(zip(rows, texts, strict=True))
    ]
    found = await graded(weighing(1 - 1e-9), mine)
    wins = sum(one.grade.verdict == "win" for one in found)
    # The package draws the order once an instruction, by a seed of its own: this always comes out the same.
    assert 12 < wins < 28


async def test_equal_texts_are_a_tie_and_ask_nobody() -> None:
    found, policy = judge(weighing(0.9))
    rows = load_query_set(ALPACA_EVAL_2, str(DATA), baseline=str(DATA))
    mine = [Answer(q, rows.baselines[q.id], baseline=rows.baselines[q.id]) for q in rows.queries]
    assert [one.score async for _, one in ALPACA_EVAL_2.grade(mine, GradingContext(found))] == [0.5] * 6
    assert policy.calls == []


async def test_nonsense_is_asked_again_then_ungraded_and_counted() -> None:
    nonsense = Completion(0, "Both", alternatives=({"Both": -0.1},))

    def reply(call: PolicyCall, index: int) -> Line:
        return nonsense if "gardener" in asked(call) else weighing(0.5)

    found, policy = judge(reply)
    mine = answers(load_query_set(ALPACA_EVAL_2, str(DATA), baseline=str(DATA)))
    context = GradingContext(found, is_whole=False)
    made = [GradedAnswer(mine[position], one) async for position, one in ALPACA_EVAL_2.grade(mine, context)]
    assert sum("gardener" in asked(call) for call in policy.calls) == ATTEMPTS
    plain, controlled = ALPACA_EVAL_2.summarize(made, context)
    assert (plain.graded, plain.ungraded) == (5, 1)
    assert plain.value == pytest.approx(50.0)
    assert (controlled.value, controlled.ungraded) == (None, 1)


async def test_a_judge_that_fails_in_the_middle_loses_that_query_alone() -> None:
    def reply(call: PolicyCall, index: int) -> Line:
        return PolicyError("cut off") if "kettle" in asked(call) else weighing(0.7)

    mine = answers(load_query_set(ALPACA_EVAL_2, str(DATA), baseline=str(DATA)))
    made: list[int] = []

    async def collect() -> None:
        async for position, _ in ALPACA_EVAL_2.grade(mine, GradingContext(judge(reply)[0])):
            made.append(position)

    with pytest.raises(PolicyError, match="cut off"):
        await collect()
    assert sorted(made) == [0, 1, 2, 3, 5]


async def test_a_judge_without_log_probabilities_is_refused_not_guessed_at() -> None:
    mine = answers(load_query_set(ALPACA_EVAL_2, str(DATA), baseline=str(DATA)))
    with pytest.raises(
        ConfigError, match=r"scripted returns no log-probabilities.*--grader-option annotator=NAME"
    ):
        await graded("m", mine[:1])


async def test_what_the_judge_could_not_hold_is_not_judged() -> None:
    cut = Completion(0, "m", alternatives=({"m": -0.1},), served=Served("u", cut_turn=1, cut_characters=9))
    found = await graded(cut, answers(load_query_set(ALPACA_EVAL_2, str(DATA), baseline=str(DATA)))[:1])
    assert found[0].grade.score is None


async def test_the_numbers_name_judge_baseline_package_and_annotator() -> None:
    mine = answers(load_query_set(ALPACA_EVAL_2, str(DATA), baseline=str(DATA)))
    made = await graded(fair, mine)
    plain, controlled = ALPACA_EVAL_2.summarize(made, GradingContext(judge(fair)[0], is_whole=False))
    assert (plain.name, plain.by) == ("win_rate", "scripted")
    assert plain.value == pytest.approx(90.0)
    assert "against gpt4_1106_preview, alpaca-eval 0." in plain.note
    assert "annotator weighted_alpaca_eval_gpt4_turbo" in plain.note
    assert controlled.note.startswith("refused: it needs the whole set in its order; against")


def test_without_a_judge_or_with_an_unknown_annotator_nothing_begins() -> None:
    assert ALPACA_EVAL_2.check is not None
    with pytest.raises(ConfigError, match=r"--judge URL#MODEL; the paper's is gpt-4-1106-preview"):
        ALPACA_EVAL_2.check(GradingContext())
    with pytest.raises(ConfigError, match="annotator=x: alpaca-eval raised"):
        ALPACA_EVAL_2.check(GradingContext(judge(fair)[0], options={"annotator": "x"}))


def _row(value: object) -> Row:
    return Row("x", value)
