import gc
from collections.abc import Iterator

import pytest

from tpo.runs.gc_tuning import YOUNG, collecting_rarely


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_the_collector_is_asked_less_often_inside_and_as_before_outside() -> None:
    gc.set_threshold(700, 11, 12)
    with collecting_rarely():
        assert gc.get_threshold() == (YOUNG, 11, 12)
    assert gc.get_threshold() == (700, 11, 12)


@pytest.mark.parametrize("own", [0, 2 * YOUNG])
def test_a_users_own_rarer_collection_stays(own: int) -> None:
    gc.set_threshold(own, 10, 10)
    with collecting_rarely():
        assert gc.get_threshold()[0] == own
    assert gc.get_threshold()[0] == own


def test_blocks_that_overlap_leave_the_collector_as_it_was() -> None:
    gc.set_threshold(700, 10, 10)
    first, second = collecting_rarely(), collecting_rarely()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 10, 10)
