"""Results of one invocation: each trajectory is persisted and counted, the totals are recorded at the end.

Earlier trajectories are read once, for the totals. A run without anything to do takes its totals from
``run.json`` instead, if they cover every trajectory.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from tpo.errors import TpoError
from tpo.events import Event, Listener, RunEnded, RunStarted, RunWarned
from tpo.runs.effect import EARLY_QUERIES
from tpo.runs.retries import Retries
from tpo.runs.summary import Summary, Tally
from tpo.store.reader import Place
from tpo.store.runfile import RunRecord
from tpo.types import Trajectory

log = logging.getLogger(__name__)

SHOWN_AGAIN = 1000
"""Finished queries up to which a run without anything to do is read again for *earlier*."""


class ResultStore(Protocol):
    """The part of a :class:`tpo.store.RunDirectory` that results need."""

    record: RunRecord
    finished: set[str]
    now: Callable[[], float]

    @property
    def failed(self) -> dict[str, Place]:
        """Places of failed queries, by id."""
        ...

    def read_finished(self) -> Iterator[Trajectory]:
        """Yield the trajectories that were finished when the run was opened."""
        ...

    def read(self, places: list[Place]) -> Iterator[Trajectory]:
        """Yield the trajectories at *places*."""
        ...

    def known_totals(self) -> Mapping[str, Any] | None:
        """Return the totals of the invocation before this one, if they cover every trajectory."""
        ...

    def seconds_until(self, ended: float) -> float:
        """Return the wall time of all invocations."""
        ...

    async def append(self, trajectory: Trajectory) -> None:
        """Return once *trajectory* is on disk."""
        ...

    async def end(
        self,
        totals: Mapping[str, Any],
        ended: float,
        *,
        interrupted: bool,
        retries: Mapping[str, int] | None = None,
    ) -> None:
        """Record the end of this invocation."""
        ...


class RunResults:
    """Results of an invocation in *directory*, with those of earlier ones; *retries* counts retried calls.

    *earlier* receives the trajectories that earlier invocations finished, if they are read.
    """

    def __init__(
        self,
        directory: ResultStore,
        retries: Retries,
        listener: Listener | None = None,
        earlier: Callable[[Trajectory], None] | None = None,
    ) -> None:
        self.directory = directory
        self._retries = retries
        self._listener = listener
        self._tally = Tally()
        self._warned: set[str] = set()
        self._failed_before = directory.failed
        self._earlier = earlier
        self._known = Summary.from_record(directory.known_totals())
        if earlier is not None and len(directory.finished) <= SHOWN_AGAIN:
            self._known = None
        if self._known is None:
            self._read_finished()

    def start(self, total: int | None) -> None:
        """Announce the start of a run of *total* queries."""
        self.announce(RunStarted(total, len(self.directory.finished), len(self._failed_before)))

    def prepare(self) -> None:
        """Read earlier trajectories unless that is done: there is something to do."""
        if self._known is not None:
            self._known = None
            self._read_finished()

    def _read_finished(self) -> None:
        for trajectory in self.directory.read_finished():
            self._tally.add(trajectory)
            if self._earlier is not None:
                self._earlier(trajectory)

    def announce(self, event: Event) -> None:
        """Pass *event* to the listener."""
        if self._listener is not None:
            self._listener(event)

    async def keep(self, trajectory: Trajectory) -> None:
        """Return once *trajectory* is on disk, and counted.

        Raises:
            StoreError: it could not be written.
        """
        self.prepare()
        await self.directory.append(trajectory)
        self._failed_before.pop(trajectory.query.id, None)
        self._tally.add(trajectory)
        self._warn()

    def _warn(self) -> None:
        """Announce each kind of warning once, from ten finished queries on."""
        if self._tally.finished < EARLY_QUERIES:
            return
        for kind, text in self._tally.effect().warnings().items():
            if kind not in self._warned:
                self._warned.add(kind)
                self.announce(RunWarned(kind, text))

    async def end(self, *, interrupted: bool) -> Summary:
        """Record the end of the invocation; queries that failed earlier and were not run again count, too.

        Raises:
            StoreError: it could not be written.
        """
        ended = self.directory.now()
        retries = dict(self._retries.by_phase)
        summary = replace(
            self._known or self._counted(),
            seconds=self.directory.seconds_until(ended),
            retries=dict(Counter(self.directory.record.retries) + Counter(retries)),
        )
        try:
            await self.directory.end(summary.record(), ended, interrupted=interrupted, retries=retries)
        finally:
            self.announce(RunEnded(summary.finished, summary.failed, interrupted))
        return summary

    def _counted(self) -> Summary:
        for trajectory in self.directory.read(list(self._failed_before.values())):
            self._tally.add(trajectory)
        return self._tally.summary(0.0)

    async def interrupt(self) -> None:
        """Record an early end; a failure to do so is logged, because its reason matters less."""
        try:
            await self.end(interrupted=True)
        except TpoError as error:
            log.warning("the end of the run could not be noted: %s", error)
