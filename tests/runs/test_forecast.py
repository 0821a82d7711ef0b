"""What is learned of the sequences that run, and of the tokens that queries have still to write."""

import pytest

from tests.runs.models import RECIPE
from tpo.runs.forecast import Arrival, Forecast, Load, planned_calls
from tpo.types import Completion, Scope, Usage


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


def test_nothing_of_a_query_that_has_ended_is_remembered() -> None:
    forecast = Forecast(planned_calls(RECIPE))
    sample, loss = Scope("q", 0, "sample"), Scope("q", 1, "loss")
    forecast.add(Scope("other", 0, "sample"), 30, 3)
    before = forecast.expect(loss)
    forecast.forget("q")
    assert forecast.left == 0
    for _ in range(20):
        forecast.add(sample, 3000, 3)
    forecast.expect(loss)
    forecast.forget("q")
    for _ in range(5000):
        forecast.add(Scope("other", 0, "sample"), 30, 3)
    assert forecast.left == 0
    assert forecast.expect(loss) == pytest.approx(before, rel=0.5)
