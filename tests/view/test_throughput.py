from dataclasses import replace

import pytest

from tests.store.values import trajectory
from tpo.types import Timing
from tpo.view.throughput import RECENT_QUERIES, WINDOW, Rates, Throughput


def ended(*times: float) -> Throughput:
    pace = Throughput()
    for time in times:
        pace.add(replace(trajectory("q"), timing=Timing(0.0, time)))
    return pace


def test_no_query_is_no_pace() -> None:
    nothing = Rates(None, None)
    assert ended().rates(0.0, 100.0) == nothing
    assert ended(5.0).rates(10.0, 100.0) == nothing, "one that ended before this invocation does not count"
    assert ended(5.0).rates(5.0, 5.2) == nothing, "a moment is too short to tell"


def test_few_queries_are_counted_from_the_start() -> None:
    rates = ended(10.0, 20.0).rates(0.0, 40.0)
    assert rates.queries == pytest.approx(2 / 40)
    assert rates.tokens == pytest.approx(4 / 40)


def test_many_queries_are_counted_of_late() -> None:
    slow = [float(n) for n in range(RECENT_QUERIES)]
    late = [1000 + 0.1 * n for n in range(RECENT_QUERIES)]
    rates = ended(*slow, *late).rates(0.0, late[-1])
    assert rates.queries == pytest.approx(10.0)


def test_tokens_are_seen_to_come_before_any_query_has_ended() -> None:
    pace = Throughput()
    for second in range(100):
        pace.mark(float(second), 20 * second)
        if second < WINDOW / 2:
            assert pace.rates(0.0, float(second)) == Rates(None, None)
    rates = pace.rates(0.0, 99.0)
    assert rates.queries is None
    assert rates.tokens == pytest.approx(20.0)


def test_tokens_that_a_compacted_journal_forgets_make_no_speed_negative() -> None:
    pace = Throughput()
    pace.mark(0.0, 500)
    pace.mark(WINDOW, 100)
    assert pace.rates(0.0, WINDOW).tokens == 0
