"""Profiles by name, the log-odds of a principle, and verdicts after reasoning."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from tests.rewards.decisions.decision_server import EXACT, SCHEMA, TOP, DecisionServer
from tpo import load_reward
from tpo.rewards.decisions.labels import stated_label
from tpo.rewards.judge import JudgeReward
from tpo.rewards.judge.pairwise import PairwiseJudge
from tpo.rewards.judge.principle import PrincipleReward
from tpo.rewards.judge.profiles import profile_of
from tpo.rewards.judge.verdict import stated_score
from tpo.types import Query, Scope, user

MESSAGES = (user("Name a fruit."),)
SCOPE = Scope("q", 0, "reward", 0)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("nvidia/Llama-3.3-Nemotron-70B-Reward-Principle", "Nemotron principle"),
        ("nvidia/Qwen3-Nemotron-32B-GenRM-Principle", "Nemotron GenRM principle"),
        ("gaotang/RM-R1-Qwen2.5-Instruct-7B", "RM-R1"),
        ("Reward-Reasoning/RRM-7B", "RRM"),
        ("Qwen/Qwen3-8B", None),
        (None, None),
    ],
)
def test_a_family_is_known_by_its_models_names(model: str | None, name: str | None) -> None:
    found = profile_of(model)
    assert (None if found is None else found.name) == name


def test_a_judge_is_built_by_its_profile() -> None:
    principle = load_reward("judge:http://127.0.0.1:1#nvidia/Llama-3.3-Nemotron-70B-Reward-Principle")
    assert isinstance(principle, PrincipleReward)
    assert isinstance(load_reward("judge:http://127.0.0.1:1#Qwen/Qwen3-8B"), JudgeReward)


def fulfilled(prompt: str) -> Mapping[str, float]:
    return {"Yes": 0.6, "No": 0.2, "Hm": 0.2}


@pytest.mark.parametrize("ways", [{EXACT, TOP, SCHEMA}, {TOP}])
async def test_a_principle_is_scored_by_the_log_odds_of_yes(ways: set[str]) -> None:
    server = DecisionServer(fulfilled, frozenset(ways), labels=("Yes", "No"))
    async with server.up() as url:
        reward = PrincipleReward(url, principle="It is true.")
        score = await reward.score(MESSAGES, "A pear.", SCOPE)
        await reward.aclose()
    assert score.value == pytest.approx(math.log(3))
    turns = server.asked()[-1]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert "It is true." in turns[-1]["content"]


async def test_where_all_votes_agree_the_log_odds_are_bounded() -> None:
    async with DecisionServer(fulfilled, frozenset()).up() as url:
        reward = PrincipleReward(url, principle="It is true.")
        assert (await reward.score(MESSAGES, "A pear.", SCOPE)).value == 20.0
        await reward.aclose()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("First \\boxed{B}, no: \\boxed{A}", "A"),
        ("So [[B]]", "B"),
        ("<answer>[[A]]</answer>", "A"),
        ("<think>[[A]]</think>\n<answer>B</answer>", "B"),
        ("A is better than B", None),
        ("\\boxed{C}", None),
    ],
)
def test_a_marked_verdict_is_read_from_the_end(text: str, label: str | None) -> None:
    assert stated_label(text, ("A", "B")) == label


async def test_a_model_that_thinks_is_asked_for_whole_replies_from_the_start() -> None:
    server = DecisionServer(lambda prompt: {"It is so. [[A]]": 1.0})
    async with server.up() as url:
        judge = PairwiseJudge(url, both_orders=False, thinks=True, votes=3)
        assert await judge.compare(Query("q", MESSAGES), "a pear", "a stone") == 1.0
        await judge.aclose()
    assert [body["max_tokens"] for body in server.asked()] == [2048] * 3
    assert not any("logprobs" in body or "response_format" in body for body in server.asked())


def test_a_boxed_score_is_read() -> None:
    assert stated_score("It is good, so \\boxed{3}. No: \\boxed{7}") == 7.0
    assert stated_score("\\boxed{12}") is None
