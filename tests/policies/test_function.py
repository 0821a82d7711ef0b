import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tpo.errors import ConfigError, PolicyError, PolicyRefused
from tpo.policies import Policy, ScriptedPolicy, as_policy
from tpo.types import Completion, Message, Messages, Query, Sampling, Scope, Usage, user

MESSAGES: Messages = (user("hi"),)
SCOPE = Scope("q7", 1, "update")


async def drawn(policy: Policy, sampling: Sampling) -> list[Completion]:
    return sorted([c async for c in policy.sample(MESSAGES, sampling, SCOPE)], key=lambda c: c.index)


async def test_a_function_is_called_once_a_sample_with_that_samples_seed() -> None:
    policy = as_policy(lambda messages, sampling: f"{messages[0]['content']} {sampling.n} {sampling.seed}")
    completions = await drawn(policy, Sampling(n=3, seed=10))
    assert [c.text for c in completions] == ["hi 1 10", "hi 1 11", "hi 1 12"]
    assert [c.usage.calls for c in completions] == [1, 1, 1]


async def test_reasoning_in_a_functions_reply_is_kept_apart() -> None:
    (completion,) = await drawn(as_policy(lambda messages, sampling: "<think>hm</think> Yes."), Sampling())
    assert (completion.text, completion.reasoning) == ("Yes.", "hm")


async def test_an_async_function_works_too() -> None:
    async def reply(messages: list[Message], sampling: Sampling) -> str:
        return "hello"

    assert [c.text for c in await drawn(as_policy(reply), Sampling())] == ["hello"]


async def test_siblings_of_a_sync_function_overlap() -> None:
    barrier = threading.Barrier(3, timeout=60)

    def reply(messages: list[Message], sampling: Sampling) -> str:
        barrier.wait()
        return ""

    assert len(await drawn(as_policy(reply), Sampling(n=3))) == 3


async def test_messages_may_be_changed_without_harm() -> None:
    def reply(messages: list[Message], sampling: Sampling) -> str:
        messages[0]["content"] = "changed"
        messages.clear()
        return ""

    await drawn(as_policy(reply), Sampling())
    assert MESSAGES[0] == user("hi")


async def test_an_exception_names_the_query_the_phase_and_itself() -> None:
    def broken(messages: list[Message], sampling: Sampling) -> str:
        raise ValueError("no")

    expected = "query 'q7', update of step 1, sample 0: broken raised ValueError: no"
    with pytest.raises(PolicyError, match=expected):
        await drawn(as_policy(broken), Sampling())


async def test_an_error_of_this_package_passes_as_it_is() -> None:
    def refused(messages: list[Message], sampling: Sampling) -> str:
        raise PolicyRefused("wrong key")

    with pytest.raises(PolicyRefused, match=r"^wrong key$"):
        await drawn(as_policy(refused), Sampling())


@pytest.mark.parametrize("value", [None, 3, b"bytes", ["text"]])
async def test_what_is_no_string_is_refused(value: object) -> None:
    with pytest.raises(PolicyError, match="must return a string"):
        await drawn(as_policy(lambda *_: value), Sampling())  # type: ignore[arg-type]  # on purpose


def test_a_policy_passes_through() -> None:
    policy = ScriptedPolicy()
    assert as_policy(policy) is policy


@pytest.mark.parametrize("thing", [None, "tiny", ScriptedPolicy])
def test_what_is_neither_is_refused(thing: object) -> None:
    with pytest.raises(ConfigError, match="function"):
        as_policy(thing)  # type: ignore[arg-type]  # on purpose


def test_a_sample_method_that_is_no_asynchronous_generator_is_refused() -> None:
    class Coroutine:
        async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> list[Completion]:
            return []

    class Generator:
        def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> Iterator[Completion]:
            yield Completion(0, "text")

    for policy in (Coroutine(), Generator()):
        with pytest.raises(ConfigError, match="sample method must be an asynchronous generator"):
            as_policy(policy)  # type: ignore[arg-type]  # on purpose


async def test_a_completion_that_a_function_returns_keeps_its_usage_and_gets_its_index() -> None:
    usage = Usage(calls=1, prompt_tokens=3, completion_tokens=4)

    def reply(messages: list[Message], sampling: Sampling) -> Completion:
        return Completion(0, f"<think>hm</think>{sampling.seed}", "length", usage)

    first, second = await drawn(as_policy(reply), Sampling(n=2, seed=5))
    assert first == Completion(0, "5", "length", usage, reasoning="hm")
    assert (second.index, second.text) == (1, "6")


async def test_a_completion_without_usage_counts_as_a_call() -> None:
    (completion,) = await drawn(as_policy(lambda *_: Completion(0, "a", reasoning="why")), Sampling())
    assert (completion.usage.calls, completion.reasoning) == (1, "why")


async def test_a_completion_without_a_text_is_refused() -> None:
    with pytest.raises(PolicyError, match="must return a string or a Completion; it returned Completion"):
        await drawn(as_policy(lambda *_: Completion(0, None)), Sampling())  # type: ignore[arg-type]


async def test_a_cancellation_that_a_function_raises_is_an_error_of_its_query() -> None:
    async def reply(messages: list[Message], sampling: Sampling) -> str:
        raise asyncio.CancelledError

    with pytest.raises(PolicyError, match="sample 0: reply raised RuntimeError: CancelledError"):
        await drawn(as_policy(reply), Sampling())


async def test_parts_of_a_message_may_be_changed_without_harm() -> None:
    messages = Query("q7", ({"role": "user", "content": [{"type": "text", "text": "hi"}]},)).messages

    def reply(given: list[dict[str, Any]], sampling: Sampling) -> str:
        given[0]["content"].append({"type": "text", "text": "changed"})
        return ""

    async for _ in as_policy(reply).sample(messages, Sampling(), SCOPE):
        pass
    assert messages[0]["content"] == [{"type": "text", "text": "hi"}]
