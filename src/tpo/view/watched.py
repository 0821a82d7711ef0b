"""One run, followed: what its files grow by is added to its numbers; its texts stay where they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.report.curves import Measured
from tpo.report.prices import Prices
from tpo.report.salvage import read_line, read_record
from tpo.report.transcript import transcript
from tpo.store import reading, runfile
from tpo.store.runfile import RunRecord
from tpo.types import Trajectory
from tpo.view.collected import Collected
from tpo.view.journal import UnderWay
from tpo.view.state import Lives, State, process_lives, state_of
from tpo.view.tail import Growth, Tail


class Gone(Exception):
    """What the page asks for belongs to a run that stands there no longer."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """What tells the time, in seconds since the epoch, and who lives; tests have their own."""

    now: Callable[[], float] = time.time
    lives: Lives = process_lives


class Watched:
    """The run in the directory *path*, the page's run *number*.

    *generation* grows whenever the run was thrown away and begun anew; rows belong to a generation.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        number: int,
        *,
        prices: Prices | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self.path = path
        self.name = name
        self.number = number
        self.generation = 0
        self.record: RunRecord | None = None
        self.record_notes: list[str] = []
        self.state: State = "unknown"
        self.growth = Growth()
        self.collected = Collected(name, number)
        self.under_way = UnderWay(path)
        self.prices = prices
        self._clocks = clocks or Clocks()
        self._tail = Tail(path / reading.NAME)
        self._record_seen: object = ()
        self._told: object = None

    def look(self) -> tuple[bool, bool]:
        """Read what is new; whether anything is, and whether there is more to read at once."""
        self.growth = growth = self._tail.read()
        if growth.anew:
            self._begin_anew()
        for line in growth.lines:
            self.collected.take(line)
        if self.collected.stale and not growth.more and not self.collected.gather_again(self._read):
            self._tail = Tail(self.path / reading.NAME)  # it changed meanwhile: read it from its start
            self._begin_anew()
        more = self.under_way.look() or growth.more
        if not more:
            _, tokens = self.under_way.queries(self.collected)
            self.collected.pace.mark(self.now, tokens)
        self._look_at_record()
        self.state = state_of(self.path, self.record, self.now, self._clocks.lives)
        told = (
            self.generation,
            self._record_seen,
            self.state,
            self.under_way.calls,
            growth.error,
            growth.torn,
        )
        changed, self._told = told != self._told, told
        return changed or bool(growth.lines), more

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clocks.now()

    @property
    def seconds(self) -> float:
        """Wall time, up to now where the run is under way."""
        if self.record is None:
            return 0.0
        since = self.since
        running = 0.0 if since is None or self.state != "working" else self.now - since
        return self.record.seconds + max(running, 0.0)

    @property
    def since(self) -> float | None:
        """When the invocation began that has not ended."""
        if self.record is None or not self.record.invocations or self.record.ended is not None:
            return None
        return self.record.invocations[-1].started

    def measured(self) -> Measured:
        """What figures are drawn from, as it is now."""
        return self.collected.gathering.measured(self.record)

    def rows(self, generation: int, start: int, changes: int) -> dict[str, Any]:
        """As :meth:`Collected.rows`; of another *generation* than the run's, from the table's beginning."""
        if generation != self.generation:
            start = changes = 0
        return {"generation": self.generation} | self.collected.rows(start, changes)

    def trajectory(self, generation: int, row: int) -> dict[str, Any]:
        """The transcript of the query in *row*.

        Raises:
            Gone: the run was begun anew, or its file is not what it was.
        """
        place = self.collected.place(row) if generation == self.generation else None
        if place is None:
            raise Gone("there is no such query; was the run begun anew?")
        found = self._read(place)
        if found is None or found.query.id != self.collected.ids[row]:
            raise Gone(f"{reading.NAME} has changed since it was read")
        return transcript(found)

    def _begin_anew(self) -> None:
        self.generation += 1
        self.collected = Collected(self.name, self.number)

    def _read(self, offset: int) -> Trajectory | None:
        """The trajectory at *offset*, if one is there."""
        try:
            with (self.path / reading.NAME).open("rb") as lines:
                lines.seek(offset)
                found = read_line(lines.readline(), 0)
        except OSError:
            return None
        return found if isinstance(found, Trajectory) else None

    def _look_at_record(self) -> None:
        seen = _seen(self.path / runfile.NAME)
        if seen != self._record_seen:
            self._record_seen = seen
            self.record, self.record_notes = read_record(self.path)


def _seen(file: Path) -> tuple[int, ...] | None:
    """What tells one state of *file* from another; None: it is not there."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns
