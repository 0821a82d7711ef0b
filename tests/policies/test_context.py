"""Calls are made to fit a context, and what was done to them is told."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.http import HttpFailure
from tpo.http.tokens import estimated_tokens, surely_fits
from tpo.policies.chat_server import MARGIN
from tpo.policies.context import LEAST_KEPT, LEAST_REPLY, ExceedsContext, Fitted, fit, is_text
from tpo.types import ExtendedSampling, Messages, Phase, Sampling, Scope, Served, assistant, plain_text, user

UPDATE = Scope("q", 1, "update")
ON_A_BUSY_MACHINE = settings(deadline=None)


async def words(messages: Messages) -> int:
    """A tokenizer that makes a token of each character."""
    return sum(len(plain_text(message)) for message in messages)


def fitted(messages: Messages, context: int, max_tokens: int = 500, phase: Phase = "update") -> Fitted:
    sampling = Sampling(max_tokens=max_tokens)
    return asyncio.run(fit(messages, sampling, Scope("q", 1, phase), context, words))


def test_what_fits_is_left_as_it_is_and_not_even_counted() -> None:
    async def count(_: Messages) -> int:
        raise AssertionError

    messages = (user("hi"),)
    assert asyncio.run(fit(messages, Sampling(max_tokens=500), UPDATE, 1000, count)) == Fitted(messages, 500)


def test_tools_take_room_as_well() -> None:
    asked: list[Messages] = []

    async def count(messages: Messages) -> int:
        asked.append(messages)
        return 700

    messages = (user("hi"),)
    sampling = ExtendedSampling(max_tokens=500, extra={"tools": [{"description": "d" * 600}]})
    assert asyncio.run(fit(messages, sampling, UPDATE, 1000, count)) == Fitted(messages, 300)
    assert asked == [messages]


def test_the_replys_limit_gives_way_first() -> None:
    messages = (user("a" * 3000),)
    assert fitted(messages, 3400) == Fitted(messages, 400)
    assert fitted(messages, 3000 + LEAST_REPLY) == Fitted(messages, LEAST_REPLY)


def test_then_the_longest_turn_loses_its_middle() -> None:
    messages = (user("q" * 300), assistant("start" + "a" * 4000 + "end"), user("now improve"))
    cut = fitted(messages, 3000)
    assert (cut.cut_turn, cut.cut_characters > 1500) == (1, True)
    text = plain_text(cut.messages[1])
    assert text.startswith("starta")
    assert text.endswith("aend")
    assert f"[… {cut.cut_characters:,} characters left out …]" in text
    assert (cut.messages[0], cut.messages[2]) == (messages[0], messages[2])
    assert asyncio.run(words(cut.messages)) + cut.max_tokens <= 3000
    assert cut.served("http://s/v1", 500) == Served("http://s/v1", cut.max_tokens, 1, cut.cut_characters)


def test_a_users_own_prompt_is_never_shortened() -> None:
    with pytest.raises(HttpFailure, match="takes 4,000 tokens of the 2,000 that the model reads"):
        fitted((user("a" * 4000),), 2000, phase="sample")


async def dense(messages: Messages) -> int:
    """A tokenizer with a token for each character of Chinese, and for four of English."""
    text = "".join(plain_text(message) for message in messages)
    return sum(4 if ord(character) > 0x2E80 else 1 for character in text) // 4


@ON_A_BUSY_MACHINE
@given(st.integers(3000, 20_000), st.integers(0, 2500), st.integers(2000, 9000))
def test_the_longest_turn_gives_way_however_dear_the_others_are(cheap: int, dear: int, context: int) -> None:
    messages = (user("a" * cheap), assistant("答" * dear), user("译" * dear), user("now improve"))
    least = asyncio.run(dense((user("a" * LEAST_KEPT), *messages[1:]))) + 20  # what the note takes
    if least + LEAST_REPLY > context:
        return
    cut = asyncio.run(fit(messages, Sampling(max_tokens=500), UPDATE, context, dense))
    assert asyncio.run(dense(cut.messages)) + cut.max_tokens <= context


def test_what_cannot_be_made_to_fit_fails_as_a_request_does() -> None:
    many = tuple(user("a" * 180) for _ in range(40))
    with pytest.raises(ExceedsContext, match="serve the model with a longer context") as caught:
        fitted(many, 2000)
    assert (caught.value.passes, caught.value.fatal, caught.value.status) == (False, False, 413)


@given(
    st.lists(st.text(max_size=1500), min_size=1, max_size=4),
    st.integers(64, 4000),
    st.integers(1, 3000),
)
@ON_A_BUSY_MACHINE
def test_whatever_comes_out_fits(texts: list[str], context: int, max_tokens: int) -> None:
    messages = tuple(user(text) for text in texts)
    try:
        result = fitted(messages, context, max_tokens)
    except HttpFailure:
        return
    assert 1 <= result.max_tokens <= max_tokens
    assert asyncio.run(words(result.messages)) + result.max_tokens <= context


@given(st.text(max_size=300), st.integers(1, 500))
@ON_A_BUSY_MACHINE
def test_what_surely_fits_does_so_by_any_tokenizer(text: str, max_tokens: int) -> None:
    messages = (user(text),)
    size = len(text.encode())
    assert not surely_fits(messages, max_tokens, size + max_tokens)
    assert surely_fits(messages, max_tokens, size + max_tokens + 1000)
    assert MARGIN * estimated_tokens(messages) >= size / 3


def test_a_picture_makes_a_prompt_that_nobody_here_can_count() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    assert is_text((user("hi"), {"role": "assistant", "content": None}))
    assert is_text((user("hi"), {"role": "user", "content": [{"type": "text", "text": "hi"}]}))
    assert not is_text(({"role": "user", "content": [picture]},))
