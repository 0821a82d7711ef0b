import pytest

from tpo.errors import PolicyError
from tpo.experiments.bench.graders.judge import Judge
from tpo.policies.scripted import ScriptedPolicy
from tpo.types import Completion, Served, user

ASKED = (user("Is it good?"),)


def number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


async def test_the_first_reply_is_greedy_and_counts_where_it_can_be_read() -> None:
    policy = ScriptedPolicy("7")
    verdict = await Judge("j", policy).ask(ASKED, number, "q0")
    assert (verdict.value, verdict.text, verdict.attempts) == (7, "7", 1)
    assert policy.calls[0].sampling.temperature == 0.0


async def test_zero_is_a_verdict() -> None:
    assert (await Judge("j", ScriptedPolicy("0")).ask(ASKED, number, "q0")).attempts == 1


async def test_nonsense_is_asked_again_with_other_seeds_and_never_guessed() -> None:
    policy = ScriptedPolicy("well")
    verdict = await Judge("j", policy).ask(ASKED, number, "q0")
    assert (verdict.value, verdict.text) == (None, "well")
    assert len({call.sampling.seed for call in policy.calls}) == 3


async def test_what_a_server_cut_is_not_judged() -> None:
    cut = Completion(0, "7", served=Served("http://x", cut_turn=0, cut_characters=10))
    verdict = await Judge("j", ScriptedPolicy(cut)).ask(ASKED, number, "q0")
    assert verdict.value is None
    assert "context" in verdict.text


@pytest.mark.parametrize(("reasoning", "verdict"), [(None, None), ("hm", 7)])
async def test_a_reply_that_was_cut_before_its_reasoning_ended_is_no_verdict(
    reasoning: str | None, verdict: int | None
) -> None:
    cut = Completion(0, "7", "length", reasoning=reasoning)
    assert (await Judge("j", ScriptedPolicy(cut)).ask(ASKED, number, "q0")).value == verdict


async def test_the_same_question_has_the_same_seed() -> None:
    seeds = []
    for query in ("q0", "q1"):
        policy = ScriptedPolicy("7")
        await Judge("j", policy).ask(ASKED, number, query)
        seeds.append(policy.calls[0].sampling.seed)
    assert seeds[0] == seeds[1]


async def test_a_judge_that_is_gone_is_an_error() -> None:
    with pytest.raises(PolicyError, match="gone"):
        await Judge("j", ScriptedPolicy(PolicyError("gone"))).ask(ASKED, number, "q0")
