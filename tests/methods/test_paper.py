"""The paper's layout: every call alone, with all texts that the reference's calls hold."""

from __future__ import annotations

from tpo.methods.catalog import paper, paper_revision
from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.methods.paper import transcript
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Messages, Query, assistant, plain_text, system, user


async def prompts(method: Method, query: Query) -> dict[str, Messages]:
    def say(call: PolicyCall, index: int) -> str:
        return "WORSE" if index else "BETTER ONE"

    policy = ScriptedPolicy(say)
    await Optimizer(policy, ScriptedReward(len), method).optimize(query)
    return {call.scope.phase: call.messages for call in reversed(policy.calls)}


def joined(messages: Messages) -> str:
    return "\n".join(map(plain_text, messages))


async def test_every_call_holds_query_chosen_and_rejected() -> None:
    asked = await prompts(paper(sample_size=2, max_iterations=1), Query("q", (user("WHY?"),)))
    assert [message["role"] for message in asked["sample"]] == ["system", "user"]
    for phase in ("loss", "gradient", "update"):
        assert [message["role"] for message in asked[phase]] == ["system", "user"]
        for text in ("WHY?", "BETTER ONE", "WORSE"):
            assert text in joined(asked[phase]), (phase, text)


async def test_revision_never_shows_the_rejected_response() -> None:
    asked = await prompts(paper_revision(sample_size=2, max_iterations=1), Query("q", (user("WHY?"),)))
    assert all("WORSE" not in joined(messages) for messages in asked.values())


async def test_a_system_text_of_the_query_stands_alone() -> None:
    own = (system("OWN"), user("WHY?"))
    asked = await prompts(paper(sample_size=2, max_iterations=1), Query("q", own))
    assert asked["sample"] == own


def test_a_conversation_is_quoted_with_its_roles() -> None:
    assert transcript(Query("q", (user("a"),))) == "a"
    turns = (user("a"), assistant("b"), user("c"))
    assert transcript(Query("q", turns)) == "User: a\n\nAssistant: b\n\nUser: c"
