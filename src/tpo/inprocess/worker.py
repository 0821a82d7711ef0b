"""One thread for one model: it comes with the first piece of work and goes when nothing is left."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Start = Callable[[Callable[[], None]], None]
"""Function that starts the worker's loop; tests replace it to run the loop themselves."""


def in_thread(body: Callable[[], None]) -> None:
    """Run *body* in a thread that the interpreter waits for, so that no model is torn down in mid-step."""
    threading.Thread(target=body, name="tpo-model").start()


def usable_cores() -> int:
    """Processor cores that this process may use; ``OMP_NUM_THREADS``, which Ray sets, limits them."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(limit)) if limit.isascii() and limit.isdigit() and int(limit) else cores


def use_one_core() -> None:
    """Have torch use one core in this thread, since small products gain nothing by more."""
    import torch

    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@contextmanager
def one_core() -> Iterator[None]:
    """Use one core meanwhile, as :func:`use_one_core` does, and then as many as before."""
    import torch

    threads = torch.get_num_threads()
    use_one_core()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Worker:
    """Repeats *step* while it finds something to do (returns True); at most one thread does so at a time.

    There is nothing to close: without work there is no thread. Whoever adds work calls :meth:`wake` after it,
    and no wake is lost, since the thread looks once more before it goes.
    """

    def __init__(self, step: Callable[[], bool], start: Start = in_thread) -> None:
        self._step = step
        self._start = start
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._woken = False

    @property
    def idle(self) -> bool:
        """Return whether no job is running."""
        return self._idle.is_set()

    def wake(self) -> None:
        """Make sure that work added before this call is seen."""
        with self._lock:
            self._woken = True
            if not self._idle.is_set():
                return
            self._idle.clear()
        self._start(self._run)

    def join(self) -> None:
        """Wait until nothing is left to do."""
        self._idle.wait()

    def _run(self) -> None:
        try:
            while self._still_woken():
                while self._step():
                    pass
        except BaseException:  # it ends this thread; the next starts at once if it was woken meanwhile
            with self._lock:
                goes_on = self._woken
                if not goes_on:
                    self._idle.set()
            if goes_on:
                self._start(self._run)
            raise

    def _still_woken(self) -> bool:
        with self._lock:
            woken, self._woken = self._woken, False
            if not woken:
                self._idle.set()
            return woken
