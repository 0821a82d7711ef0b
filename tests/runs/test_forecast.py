"""A request with n keeps fewer sequences running than it asked for, on average, and that is learned."""

import pytest

from tpo.runs.forecast import Arrival, Load
from tpo.types import Completion, Usage


def arrivals(*places: tuple[float, int], text: str = "") -> list[Arrival]:
    return [
        (at, Completion(i, text or "x" * n, usage=Usage(completion_tokens=0 if text else n)))
        for i, (at, n) in enumerate(places)
    ]


@pytest.mark.parametrize(
    ("came", "running"),
    [
        (arrivals((9.0, 10), (9.0, 40), (9.0, 10)), 3 * (1 + 0.5) / 2),
        (arrivals((3.0, 10), (9.0, 40), (3.0, 10)), 3.0),
        (arrivals((9.0, 0), (9.0, 0), text="the same"), 3.0),
        (arrivals((9.0, 40)), 3.0),
    ],
)
def test_samples_that_come_together_count_by_the_share_of_time_in_which_they_run(
    came: list[Arrival], running: float
) -> None:
    load = Load()
    load.learn(1.0, sorted(came, key=lambda arrival: arrival[0]))
    load.add(3, 3)
    load.add(1, 1)
    assert load.samples == 4
    assert load.now == pytest.approx(running + 1)
