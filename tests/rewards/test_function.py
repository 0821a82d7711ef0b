import asyncio
import json
import math
import sys
import threading
from collections.abc import Iterator
from contextlib import chdir
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.http.loopback import VirtualTime
from tpo.errors import ConfigError, RewardError, RewardRefused
from tpo.events import CallRetried, Event
from tpo.rewards.batched import batched
from tpo.rewards.function import as_reward, load_function
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Message, Scope, Score, user

SCOPE = Scope("q7", 2, "reward", 3)


async def scored(function: Any, response: str = "text") -> Score:
    return await as_reward(function, clock=VirtualTime().clock).score((user("hi"),), response, SCOPE)


async def test_a_function_sync_or_async_gives_the_score() -> None:
    async def later(messages: list[Message], response: str) -> float:
        return -1.5

    assert await scored(lambda messages, response: len(response) + len(messages)) == Score(5.0)
    assert await scored(later) == Score(-1.5)


@pytest.mark.parametrize(
    ("value", "expected"), [(True, 1), (Fraction(1, 2), 0.5), (Decimal(2), 2), (Score(3, tokens=4), 3)]
)
async def test_any_number_will_do(value: object, expected: float) -> None:
    assert (await scored(lambda *_: value)).value == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        "1.0",
        float("nan"),
        float("inf"),
        -float("inf"),
        [1.0],
        10**400,
        1j,
        Score(float("nan")),
        Score("9"),  # type: ignore[arg-type]  # on purpose
    ],
    ids=str,
)
async def test_what_is_no_finite_number_names_the_query_and_what_came(value: object) -> None:
    with pytest.raises(
        RewardError, match=r"query 'q7', response 2.3: .* must return a finite number"
    ) as caught:
        await scored(lambda *_: value)
    assert repr(value)[:100] in str(caught.value)


async def test_an_exception_names_the_query_and_itself() -> None:
    with pytest.raises(RewardError, match=r"query 'q7', response 2.3: .* raised ZeroDivisionError"):
        await scored(lambda *_: 1 / 0)


async def test_a_score_that_fails_is_asked_for_three_times_and_that_is_heard() -> None:
    heard: list[Event] = []
    failures = [ConnectionError("reset"), OSError("busy")]

    def flaky(messages: list[Message], response: str) -> float:
        if failures:
            raise failures.pop()
        return 1 / 3

    time = VirtualTime()
    reward = as_reward(flaky, clock=time.clock, listener=heard.append)
    assert (await reward.score((user("hi"),), "text", SCOPE)).value == 1 / 3
    assert time.waits == [0.25, 0.5]
    assert [event.reason for event in heard if isinstance(event, CallRetried)] == [
        "flaky raised OSError: busy",
        "flaky raised ConnectionError: reset",
    ]


async def test_a_call_that_hangs_fails_its_response() -> None:
    never = threading.Event()
    reward = as_reward(lambda *_: never.wait(60), timeout=0.05, clock=VirtualTime().clock)
    with pytest.raises(RewardError, match=r"response 2.3: .* raised TimeoutError: no result within 0.05 s"):
        await reward.score((user("hi"),), "text", SCOPE)
    never.set()


async def test_a_function_that_ends_the_program_fails_its_response() -> None:
    with pytest.raises(RewardError, match="raised RuntimeError: SystemExit"):
        await scored(lambda *_: sys.exit("bye"))


@pytest.mark.parametrize("fault", [lambda messages: 1.0, lambda *_: 1 / 0, lambda *_: float("nan")])
async def test_a_function_that_cannot_work_is_found_by_its_probe(fault: Any) -> None:
    for function in (fault, batched(fault)):
        reward: Any = as_reward(function, clock=VirtualTime().clock)
        with pytest.raises(RewardRefused, match="fails before the first policy call: query 'a probe'"):
            await reward.probe((user("hi"),))


async def test_a_function_that_reads_numbers_or_json_alone_passes_its_probe() -> None:
    for function in (lambda _, response: float(response), lambda _, response: len(json.loads(response))):
        reward: Any = as_reward(function, clock=VirtualTime().clock)
        await reward.probe((user("hi"),))


async def test_an_error_of_this_package_passes_as_it_is() -> None:
    def refused(messages: list[Message], response: str) -> float:
        raise RewardRefused("wrong key")

    with pytest.raises(RewardRefused, match=r"^wrong key$"):
        await scored(refused)


def test_a_reward_passes_through_and_what_is_neither_is_refused() -> None:
    reward = ScriptedReward()
    assert as_reward(reward) is reward
    for thing in (None, "tiny", ScriptedReward):
        with pytest.raises(ConfigError, match="function"):
            as_reward(thing)  # type: ignore[arg-type]  # on purpose


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """An empty working directory, and an import path that is put back."""
    before = list(sys.path)
    with chdir(tmp_path):
        yield tmp_path
    sys.path[:] = before


async def test_a_function_is_found_in_the_working_directory(here: Path) -> None:
    (here / "my_scores.py").write_text("def length(messages, response):\n    return len(response)\n")
    assert await scored(load_function("my_scores:length")) == Score(4.0)


def test_dots_lead_into_objects() -> None:
    found: object = load_function("math:inf.hex")
    assert found == math.inf.hex


@pytest.mark.parametrize(
    ("specification", "expected"),
    [
        ("", "write python:MODULE:FUNCTION"),
        ("math", "write python:MODULE:FUNCTION"),
        ("no_such_module:f", "no module 'no_such_module'"),
        ("math.nothing:f", "importing math.nothing failed|no module"),
        ("math:nothing", "has no 'nothing'"),
        ("math:pi", "not a function"),
    ],
)
def test_a_name_that_leads_nowhere_says_where_it_ended(specification: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_function(specification)


@pytest.mark.parametrize(
    ("source", "expected"), [("1 / 0", "ZeroDivisionError"), ("import not_there_either", "not_there_either")]
)
def test_a_module_that_fails_as_it_is_imported_says_how(here: Path, source: str, expected: str) -> None:
    name = f"broken_{expected.lower()}"
    (here / f"{name}.py").write_text(source)
    with pytest.raises(ConfigError, match=f"importing {name} failed with .*{expected}"):
        load_function(f"{name}:f")


async def test_a_cancellation_that_a_function_raises_is_an_error_of_its_response() -> None:
    async def reward(messages: list[Message], response: str) -> float:
        raise asyncio.CancelledError

    with pytest.raises(RewardError, match="reward raised RuntimeError: CancelledError"):
        await scored(reward)
