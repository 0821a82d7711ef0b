import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.loopback import VirtualTime
from tpo.http import Balancer, HttpFailure, RetryPolicy
from tpo.http.retry import OnRetry


class Attempts:
    """Fails by the list, then succeeds."""

    def __init__(self, *failures: HttpFailure) -> None:
        self.failures = list(failures)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


async def retried(
    attempts: Attempts, policy: RetryPolicy, time: VirtualTime, on_retry: OnRetry = lambda *_: None
) -> str:
    """What one server's call gives."""
    return await Balancer([("a", attempts)], retry=policy, clock=time.clock).ask(
        "q", Attempts.__call__, on_retry
    )


def passing(retry_after: float | None = None) -> HttpFailure:
    return HttpFailure("busy", passes=True, retry_after=retry_after)


async def test_the_waits_double_and_are_told() -> None:
    time, told = VirtualTime(), list[tuple[str, float]]()
    result = await retried(
        Attempts(*(passing() for _ in range(4))),
        RetryPolicy(initial=1, longest=5),
        time,
        lambda reason, wait: told.append((reason, wait)),
    )
    assert result == "done"
    assert time.waits == [1, 2, 4, 5]
    assert told == [("busy", wait) for wait in time.waits]


async def test_what_the_server_asks_for_is_waited_at_least() -> None:
    time = VirtualTime()
    await retried(Attempts(passing(retry_after=20)), RetryPolicy(initial=1), time)
    assert time.waits == [21]


async def test_a_failure_that_does_not_pass_is_raised_at_once() -> None:
    attempts = Attempts(HttpFailure("no"))
    with pytest.raises(HttpFailure, match="no"):
        await retried(attempts, RetryPolicy(), VirtualTime())
    assert attempts.made == 1


async def test_retrying_ends_with_its_timeout_and_says_how_often_it_tried() -> None:
    time = VirtualTime()
    attempts = Attempts(*(passing() for _ in range(100)))
    with pytest.raises(HttpFailure, match=r"busy \(given up after 4 tries\)"):
        await retried(attempts, RetryPolicy(initial=1, longest=4, timeout=10), time)
    assert time.waits == [1, 2, 4]


async def test_a_server_that_asks_for_more_time_than_there_is_is_probed_until_the_timeout() -> None:
    time = VirtualTime()
    policy = RetryPolicy(longest=30, timeout=100)
    with pytest.raises(HttpFailure, match=r"busy \(given up after 5 tries\)"):
        await retried(Attempts(*(passing(3600) for _ in range(9))), policy, time)
    assert time.waits == [30, 30, 30, 10]
    assert await retried(Attempts(passing(3600)), policy, VirtualTime()) == "done"


@settings(deadline=None)
@given(failures=st.integers(1, 10**6), jitter=st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_longer_than_its_bound_nor_cut_by_more_than_half(
    failures: int, jitter: float
) -> None:
    retry = RetryPolicy()
    assert retry.initial / 2 <= retry.delay(failures, None, jitter) <= retry.longest
