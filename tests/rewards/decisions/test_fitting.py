"""Prompts that are fitted into a context: what is cut, what is counted, and what is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.rewards.decisions.fitting import CutWarning, TooLong, needed_cut, reply_room, without_start
from tpo.types import Message, plain_text, user

CONVERSATION = "old " * 300 + "new"


def build(cut: int) -> Sequence[Message]:
    return [user(f"{without_start(CONVERSATION, cut)} response")]


class Counter:
    """Counts a word as a token, and the calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, prompt: Sequence[Message]) -> int:
        self.calls += 1
        return sum(len(plain_text(message).split()) for message in prompt)


async def test_a_prompt_that_fits_by_its_bytes_is_not_counted() -> None:
    count = Counter()
    assert await needed_cut(build, len(CONVERSATION), 2000, count) == (0, 0)
    assert count.calls == 0


async def test_the_beginning_is_cut_until_the_rest_fits() -> None:
    count = Counter()
    cut, lost = await needed_cut(build, len(CONVERSATION), 100, count)
    text = plain_text(build(cut)[0])
    assert text.endswith("old new response")
    assert await count(build(cut)) <= 100
    assert lost == 302 - await count(build(cut))


async def test_what_does_not_fit_without_its_conversation_is_too_long() -> None:
    with pytest.raises(TooLong, match="more than the 4 tokens"):
        await needed_cut(build, len(CONVERSATION), 4, Counter())


async def dense(prompt: Sequence[Message]) -> int:
    """A tokenizer with a token for each character of Chinese, and for four of English."""
    text = "".join(plain_text(message) for message in prompt)
    return sum(4 if ord(character) > 0x2E80 else 1 for character in text) // 4


@given(st.integers(1, 20_000), st.integers(0, 6000), st.integers(10, 9000))
async def test_a_prompt_is_cut_to_fit_wherever_that_is_possible(length: int, dear: int, room: int) -> None:
    conversation, response = "old " * (length // 4) + "x" * (length % 4), "答" * dear

    def prompt(cut: int) -> Sequence[Message]:
        return [user(f"{without_start(conversation, cut)} {response}")]

    if await dense(prompt(length - 1)) <= room:
        cut, _ = await needed_cut(prompt, length, room, dense)
        assert await dense(prompt(cut)) <= room
    else:
        with pytest.raises(TooLong):
            await needed_cut(prompt, length, room, dense)


def test_a_reply_gets_at_most_a_quarter_of_the_context() -> None:
    assert [reply_room(2048, context) for context in (None, 32_768, 4096)] == [2048, 2048, 1024]


def test_a_cut_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    warning = CutWarning("judge")
    for lost in (0, 7, 9):
        warning.tell(lost, 100, "query 'q'")
    (record,) = caplog.records
    assert record.getMessage().startswith("judge: prompts beyond 100 tokens lose the beginning")
    assert "by 7 tokens" in record.getMessage()
