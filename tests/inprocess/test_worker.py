"""One thread while there is work, none otherwise, and no wake is lost."""

from collections.abc import Callable

import pytest

from tpo.inprocess.worker import Worker, usable_cores


class Bench:
    """Work that is counted, and a thread that runs when the test says so."""

    def __init__(self) -> None:
        self.left = 0
        self.done = 0
        self.bodies: list[Callable[[], None]] = []

    def step(self) -> bool:
        if self.left == 0:
            return False
        self.left -= 1
        self.done += 1
        return True


def test_one_body_runs_for_any_number_of_wakes() -> None:
    bench = Bench()
    worker = Worker(bench.step, bench.bodies.append)
    for _ in range(5):
        bench.left += 1
        worker.wake()
    assert len(bench.bodies) == 1
    bench.bodies.pop()()
    assert bench.done == 5


def test_work_that_comes_as_the_thread_goes_is_still_done() -> None:
    bench = Bench()
    worker: Worker

    def step() -> bool:
        found = bench.step()
        if not found and bench.done == 1:  # the last look found nothing, and now something comes
            bench.done += 1
            bench.left = 1
            worker.wake()
        return found

    worker = Worker(step, bench.bodies.append)
    bench.left = 1
    worker.wake()
    bench.bodies.pop()()
    assert (bench.left, bench.done) == (0, 3)


def test_a_worker_starts_again_after_it_went() -> None:
    bench = Bench()
    worker = Worker(bench.step, bench.bodies.append)
    for _ in range(2):
        bench.left = 1
        worker.wake()
        bench.bodies.pop()()
    assert bench.done == 2


def test_a_wake_between_the_last_look_and_the_threads_end_starts_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    worker = Worker(bench.step, bench.bodies.append)
    look = worker._still_woken

    def then_woken() -> bool:
        woken = look()
        if not woken and not bench.bodies:
            bench.left = 1
            worker.wake()
        return woken

    monkeypatch.setattr(worker, "_still_woken", then_woken)
    worker.wake()
    bench.bodies.pop()()
    assert not worker.idle
    worker.wake()
    assert len(bench.bodies) == 1


def test_a_step_that_was_woken_and_raises_leaves_a_thread_to_go_on() -> None:
    bench = Bench()
    trouble = [ValueError("once")]
    worker: Worker

    def step() -> bool:
        if trouble:
            bench.left = 1
            worker.wake()
            raise trouble.pop()
        return bench.step()

    worker = Worker(step, bench.bodies.append)
    worker.wake()
    with pytest.raises(ValueError, match="once"):
        bench.bodies.pop()()
    bench.bodies.pop()()
    assert (bench.done, worker.idle) == (1, True)


def test_a_step_that_raises_does_not_end_the_worker_for_good() -> None:
    bench = Bench()
    trouble = [ValueError("once")]

    def step() -> bool:
        if trouble:
            raise trouble.pop()
        return bench.step()

    worker = Worker(step, bench.bodies.append)
    bench.left = 1
    worker.wake()
    with pytest.raises(ValueError, match="once"):
        bench.bodies.pop()()
    worker.wake()
    bench.bodies.pop()()
    assert bench.done == 1


def test_joining_a_real_thread_waits_for_the_work() -> None:
    bench = Bench()
    bench.left = 100
    worker = Worker(bench.step)
    worker.wake()
    worker.join()
    assert bench.done == 100


def test_a_worker_is_idle_until_it_is_woken_and_after_its_work() -> None:
    bench = Bench()
    worker = Worker(bench.step, bench.bodies.append)
    assert worker.idle
    worker.wake()
    assert not worker.idle
    bench.bodies.pop()()
    assert worker.idle


@pytest.mark.parametrize("limit", ["", "0", "many", "4,2", "100000"])
def test_threads_that_a_process_may_use_are_limited_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert usable_cores() == 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    cores = usable_cores()
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert usable_cores() == cores
