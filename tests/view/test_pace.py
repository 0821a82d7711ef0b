from dataclasses import replace

import pytest

from tests.store.values import trajectory
from tpo.types import Timing
from tpo.view.pace import LATELY, Pace


def ended(*times: float) -> Pace:
    pace = Pace()
    for time in times:
        pace.add(replace(trajectory("q"), timing=Timing(0.0, time)))
    return pace


def test_no_query_is_no_pace() -> None:
    assert ended().speed(0.0, 100.0) is None
    assert ended(5.0).speed(10.0, 100.0) is None, "one that ended before this invocation does not count"
    assert ended(5.0).speed(5.0, 5.2) is None, "a moment is too short to tell"


def test_few_queries_are_counted_from_the_start() -> None:
    speed = ended(10.0, 20.0).speed(0.0, 40.0)
    assert speed is not None
    assert speed.queries == pytest.approx(2 / 40)
    assert speed.tokens == pytest.approx(4 / 40)


def test_many_queries_are_counted_of_late() -> None:
    slow = [float(n) for n in range(LATELY)]
    late = [1000 + 0.1 * n for n in range(LATELY)]
    speed = ended(*slow, *late).speed(0.0, late[-1])
    assert speed is not None
    assert speed.queries == pytest.approx(10.0)
