"""A user's reward function is called again when it fails, and tried before a run."""

from __future__ import annotations

import pytest

from tpo.errors import RewardError, RewardRefused
from tpo.events import CallRetried, Event
from tpo.http.retry import Clock
from tpo.rewards.function_retry import ATTEMPTS, PROBES, probe, probe_all, with_retries
from tpo.types import Messages, Scope, Score, user

SCOPE = Scope("q", 1, "reward", 0)
ASKED: Messages = (user("Why?"),)


class Failing:
    """Raises *errors* one after the other, then returns a number."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    async def __call__(self) -> float:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 1.0


def clock(slept: list[float]) -> Clock:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return Clock(now=lambda: 0.0, sleep=sleep, jitter=lambda: 1.0)


async def test_a_failure_is_announced_and_the_call_made_again_later() -> None:
    call, heard, slept = Failing(OSError("busy"), OSError("busy")), list[Event](), list[float]()
    assert await with_retries(call, "f", SCOPE, heard.append, clock(slept)) == 1.0
    assert call.calls == 3
    assert [event.reason for event in heard if isinstance(event, CallRetried)] == [
        "f raised OSError: busy"
    ] * 2
    assert len(slept) == 2
    assert 0 < slept[0] < slept[1]


async def test_after_so_many_attempts_the_last_error_stands() -> None:
    call = Failing(*(OSError(str(number)) for number in range(ATTEMPTS)))
    with pytest.raises(OSError, match=str(ATTEMPTS - 1)):
        await with_retries(call, "f", SCOPE, None, clock([]))
    assert call.calls == ATTEMPTS


@pytest.mark.parametrize("error", [RewardError("no number"), RewardRefused("broken")])
async def test_an_error_of_this_package_is_raised_at_once(error: Exception) -> None:
    call = Failing(error)
    with pytest.raises(type(error)):
        await with_retries(call, "f", SCOPE, None, clock([]))
    assert call.calls == 1


async def test_a_function_works_if_it_scores_one_of_the_probes() -> None:
    asked: list[str] = []

    async def only_numbers(messages: Messages, response: str, scope: Scope) -> Score:
        asked.append(response)
        if not response.isdigit():
            raise RewardError("no number")
        return Score(1.0)

    await probe(only_numbers, ASKED, "f")
    assert asked == list(PROBES[:2])


async def test_a_function_that_scores_none_of_them_is_refused_with_its_first_reason() -> None:
    async def broken(messages: Messages, response: str, scope: Scope) -> Score:
        raise RewardError(f"cannot read {response}")

    with pytest.raises(RewardRefused, match=f"f fails before the first policy call: cannot read {PROBES[0]}"):
        await probe(broken, ASKED, "f")


async def test_rewards_without_a_probe_are_left_out() -> None:
    probed: list[Messages] = []

    class Probed:
        async def probe(self, messages: Messages) -> None:
            probed.append(messages)

    await probe_all([object(), Probed()], ASKED)
    assert probed == [ASKED]
