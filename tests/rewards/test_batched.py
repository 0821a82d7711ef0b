"""A user's function over many responses: sync or async, marked or as a method, and what it may not give."""

from __future__ import annotations

import asyncio
import contextlib
import math
from pathlib import Path
from typing import Any

import pytest

from tpo.errors import ConfigError, RewardError, RewardRefused
from tpo.rewards.batched import batched
from tpo.rewards.function import as_reward, load_function
from tpo.types import Message, Scope, Score, user

MESSAGES = (user("How long?"),)


async def shared(reward: Any, *responses: str) -> list[Any]:
    built = as_reward(reward)
    calls = (built.score(MESSAGES, text, Scope("q", 0, "reward", at)) for at, text in enumerate(responses))
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_a_batched_function_gets_all_that_wait_at_once() -> None:
    seen: list[list[str]] = []

    @batched
    def lengths(conversations: list[list[Message]], responses: list[str]) -> list[int]:
        assert all(conversation == list(MESSAGES) for conversation in conversations)
        seen.append(responses)
        return [len(response) for response in responses]

    assert [score.value for score in await shared(lengths, "a", "bb", "ccc")] == [1, 2, 3]
    assert seen == [["a", "bb", "ccc"]]


async def test_an_async_function_and_its_size() -> None:
    seen: list[int] = []

    @batched(size=2)
    async def lengths(conversations: list[list[Message]], responses: list[str]) -> list[float]:
        seen.append(len(responses))
        await asyncio.sleep(0)
        return [len(response) for response in responses]

    assert [score.value for score in await shared(lengths, "a", "bb", "ccc", "dddd", "")] == [1, 2, 3, 4, 0]
    assert max(seen) == 2


async def test_an_object_with_score_batch_is_a_reward() -> None:
    class Scorer:
        def score_batch(self, conversations: list[list[Message]], responses: list[str]) -> list[Score]:
            return [Score(len(response), tokens=7) for response in responses]

    assert await shared(Scorer(), "ab", "c") == [Score(2.0, tokens=7), Score(1.0, tokens=7)]


async def test_one_responses_trouble_is_its_own() -> None:
    @batched
    def picky(conversations: list[list[Message]], responses: list[str]) -> list[int]:
        if "bad" in responses:
            raise ValueError("that one")
        return [len(response) for response in responses]

    first, second, third = await shared(picky, "a", "bad", "c")
    assert (first.value, third.value) == (1, 1)
    assert isinstance(second, RewardError)
    assert str(second) == "query 'q', response 0.1: picky raised ValueError: that one"


@pytest.mark.parametrize("value", [math.nan, None, "7", [1, 2]])
async def test_what_is_no_finite_number_fails_its_response_alone(value: Any) -> None:
    @batched
    def strange(conversations: list[list[Message]], responses: list[str]) -> list[Any]:
        return [value if response == "bad" else 1.0 for response in responses]

    good, bad = await shared(strange, "good", "bad")
    assert good.value == 1.0
    assert isinstance(bad, RewardError)
    assert "must return a finite number" in str(bad)


@pytest.mark.parametrize(("value", "words"), [([1.0], "1 numbers"), (None, "None"), (3.5, "3.5")])
async def test_a_wrong_count_says_so_and_is_asked_once(value: Any, words: str) -> None:
    calls = 0

    @batched
    def short(conversations: list[list[Message]], responses: list[str]) -> Any:
        nonlocal calls
        calls += 1
        return value

    results = await shared(short, "a", "b")
    assert all(isinstance(result, RewardError) for result in results)
    assert f"must return 2 numbers; it returned {words}" in str(results[0])
    assert calls == 1


async def test_a_refusal_passes_as_it_is() -> None:
    @batched
    def refusing(conversations: list[list[Message]], responses: list[str]) -> list[float]:
        raise RewardRefused("no model there")

    assert [str(result) for result in await shared(refusing, "a", "b")] == ["no model there"] * 2


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ConfigError):
        batched(size=0)


async def test_a_batched_function_is_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "batched_scores_of_mine.py").write_text(
        "from tpo.rewards.batched import batched\n\n"
        "@batched\ndef by_length(conversations, responses):\n    return [len(r) for r in responses]\n"
    )
    with contextlib.chdir(tmp_path):
        reward = load_function("batched_scores_of_mine:by_length")
    assert [score.value for score in await shared(reward, "a", "bb")] == [1, 2]


@pytest.mark.parametrize("values", [{0: 1.0, 1: 2.0}, {1.0, 2.0}, "12", b"12"], ids=repr)
async def test_a_mapping_a_set_or_a_text_is_not_taken_for_numbers(values: Any) -> None:
    found = await shared(batched(lambda conversations, responses: values), "a", "b")
    assert all(isinstance(error, RewardError) for error in found)
    assert "must return 2 numbers; it returned" in str(found[0])
