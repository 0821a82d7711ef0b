"""Prompt and reply of one call together stay within a number of tokens."""

import pytest

from tpo.contrib.reference.context import LEAST_REPLY, ContextBound, reply_limit
from tpo.contrib.reference.tokens import estimated_tokens
from tpo.policies.scripted import ScriptedPolicy
from tpo.types import Phase, Sampling, Scope, user

PROMPT = (user("x" * 4000),)  # about 1,000 tokens and a turn of 16


def limit(phase: Phase, total: int, max_tokens: int = 2048) -> int:
    return reply_limit(
        estimated_tokens(PROMPT), Sampling(max_tokens=max_tokens), Scope("q0", 1, phase), total
    )


def test_a_critique_may_take_what_its_prompt_leaves() -> None:
    assert limit("loss", 8192) == limit("gradient", 8192) == 8192 - 1016


def test_a_response_keeps_its_own_limit_where_that_is_lower() -> None:
    assert limit("sample", 8192) == limit("update", 8192) == 2048
    assert limit("update", 2016) == 1000


def test_a_reply_gets_something_even_where_nothing_is_left() -> None:
    assert limit("update", 900) == limit("loss", 900) == LEAST_REPLY
    assert limit("loss", 100) == 100
    assert limit("sample", 900, max_tokens=10) == 10


def test_parts_that_are_no_text_count_nothing() -> None:
    assert estimated_tokens(({"role": "user", "content": [{"type": "image_url"}]},)) == 16


async def test_the_policy_is_asked_with_the_new_limit() -> None:
    policy = ScriptedPolicy()
    bound = ContextBound(policy, 8192)
    replies = [c async for c in bound.sample(PROMPT, Sampling(n=2), Scope("q0", 1, "loss"))]
    assert len(replies) == 2
    assert policy.calls[0].sampling == Sampling(n=2, max_tokens=8192 - 1016)


@pytest.mark.parametrize("text", ["\ud800", "é" * 10])
def test_any_text_has_a_length(text: str) -> None:
    assert estimated_tokens((user(text),)) > 16
