import pytest

from tpo.errors import PolicyError
from tpo.methods.tags import CLOSING, OPENING
from tpo.policies import ScriptedPolicy, improved
from tpo.types import Completion, Phase, Sampling, Scope, Usage, user

MESSAGES = (user("two words"),)


async def ask(policy: ScriptedPolicy, phase: Phase = "sample", n: int = 1, step: int = 0) -> list[Completion]:
    return [c async for c in policy.sample(MESSAGES, Sampling(n=n), Scope("q0", step, phase))]


async def test_without_a_script_a_reply_names_its_place() -> None:
    assert [c.text for c in await ask(ScriptedPolicy(), n=2)] == ["sample 0.0 of q0", "sample 0.1 of q0"]


async def test_replies_are_by_phase_by_step_and_by_index() -> None:
    policy = ScriptedPolicy({"sample": ["a", "b"], "loss": "same", ("loss", 2): lambda call, i: f"fn {i}"})
    assert [c.text for c in await ask(policy, n=3)] == ["a", "b", "a"]
    assert [c.text for c in await ask(policy, "loss", step=1)] == ["same"]
    assert [c.text for c in await ask(policy, "loss", step=2)] == ["fn 0"]
    with pytest.raises(PolicyError, match="nothing is scripted for gradient of step 1"):
        await ask(policy, "gradient", step=1)


async def test_tokens_are_words_and_the_prompts_come_first() -> None:
    policy = ScriptedPolicy("three words here", order=reversed)
    completions = await ask(policy, n=2)
    assert [c.index for c in completions] == [1, 0]
    assert completions[0].usage == Usage(calls=1, prompt_tokens=2, completion_tokens=3)
    assert completions[1].usage == Usage(completion_tokens=3)


async def test_a_completion_keeps_its_own_finish_and_reasoning() -> None:
    policy = ScriptedPolicy(Completion(9, "cut", "length", reasoning="hm"))
    assert (await ask(policy))[0] == Completion(0, "cut", "length", Usage(1, 2), "hm")


async def test_it_fails_where_it_is_told_to() -> None:
    policy = ScriptedPolicy(
        ["a", PolicyError("second")], failures={Scope("q0", 0, "loss"): PolicyError("all")}
    )
    replies = policy.sample(MESSAGES, Sampling(n=2), Scope("q0", 0, "sample"))
    assert (await anext(replies)).text == "a"
    with pytest.raises(PolicyError, match="second"):
        await anext(replies)
    with pytest.raises(PolicyError, match="all"):
        await ask(policy, "loss")
    assert len(policy.calls) == 2


def test_an_improved_text_stands_in_the_tags_of_the_recipes() -> None:
    assert improved("x") == f"{OPENING}x{CLOSING}"
