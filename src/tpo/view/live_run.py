"""Follow one run: appended lines update its totals; texts stay on disk until requested."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.report.line_figures import RunMeasures
from tpo.report.partial_run import parse_line, read_run_record
from tpo.report.prices import Prices
from tpo.report.query_table import MAX_QUERIES
from tpo.report.transcript import transcript
from tpo.store import reader, runfile
from tpo.store.runfile import RunRecord
from tpo.store.shards import run_directories
from tpo.types import Trajectory
from tpo.view.figure_cache import MIN_PAUSE, PAUSE_FACTOR
from tpo.view.in_flight import InFlightQueries
from tpo.view.run_table import Place, Resumption, RowSample, RunTable
from tpo.view.state import IsAlive, State, process_is_alive, state_of
from tpo.view.tail import Growth, Tail


class StaleRequest(Exception):
    """A request refers to a run that has been replaced."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Clock (seconds since the epoch), process check, and clock for intervals; tests inject their own."""

    now: Callable[[], float] = time.time
    is_alive: IsAlive = process_is_alive
    elapsed: Callable[[], float] = time.monotonic


class LiveRun:
    """The run in the directory *path*, or in its shards until they are merged; run *number* on the page.

    *generation* increases whenever the run was deleted and started again; rows belong to a generation. Of a
    run of more than *max_queries* queries, about as many have rows.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        number: int,
        *,
        prices: Prices | None = None,
        environment: Environment | None = None,
        max_queries: int = MAX_QUERIES,
    ) -> None:
        self.path = path
        self.name = name
        self.number = number
        self.generation = 0
        self.record: RunRecord | None = None
        self.record_notes: list[str] = []
        self.state: State = "unknown"
        self.growth = Growth()
        self.table = RunTable(name, number)
        self.parts: tuple[Path, ...] = ()
        """Directories that hold the run."""
        self.prices = prices
        self._environment = environment or Environment()
        self._max_queries = max_queries
        self._halvings = 0
        self._rebuild_from = -math.inf
        """Time from which the totals may be computed again."""
        self._open(run_directories(path))
        self._record_seen: object = ()
        self._told: object = None

    def refresh(self) -> tuple[bool, bool]:
        """Read appended lines; return whether anything changed and whether more can be read now."""
        self._look_at_parts()
        self._look_at_record()
        growths = [tail.read() for tail in self._tails]
        self.growth = growth = _together(growths)
        if growth.replaced:
            self._reset()
            if len(growths) > 1:  # the others must be read from their start, too
                self._open(self.parts)
                return True, True
        for part, each in enumerate(growths):
            for line in each.lines:
                self.table.add_line(line, part)
        if self.table.stale and not growth.more:
            self._rebuild()
        more = self.in_flight.refresh() or growth.more
        self.state = state_of(self.path, self.record, self.now, self._environment.is_alive)
        self.table.resumption = self._resumption()
        if not more:
            self.table.throughput.mark(self.now, self.tokens_in_flight)
        if len(self.table) > 2 * self._max_queries:  # there are more than the record said
            self._halvings += 1
            self._start_again()
            return True, True
        told = (
            self.generation,
            self._record_seen,
            self.state,
            self.in_flight.calls,
            self.table.version,
            growth.error,
            growth.torn,
        )
        changed, self._told = told != self._told, told
        return changed or bool(growth.lines), more

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self._environment.now()

    @property
    def tokens_in_flight(self) -> int:
        """Completion tokens of queries in flight that are not among those of ended attempts."""
        _, tokens = self.in_flight.queries(self.table)
        _, counted = self.table.resumed()
        return tokens - counted

    @property
    def total(self) -> int | None:
        """Number of queries, if the run recorded it."""
        noted = self.record.configuration.get("queries") if self.record else None
        return noted if isinstance(noted, int) and noted > 0 else None

    @property
    def seconds(self) -> float:
        """Wall time in seconds, up to now if the run is in progress."""
        if self.record is None:
            return 0.0
        since = self.since
        running = 0.0 if since is None or self.state != "working" else self.now - since
        return self.record.seconds + max(running, 0.0)

    @property
    def since(self) -> float | None:
        """Start time of the invocation that has not ended."""
        if self.record is None or not self.record.invocations or self.record.ended is not None:
            return None
        return self.record.invocations[-1].started

    def measured(self) -> RunMeasures:
        """Return the measurements that figures are drawn from."""
        return self.table.gathering.run_measures(self.record)

    def rows(self, generation: int, start: int, changes: int) -> dict[str, Any]:
        """Return rows as :meth:`RunTable.rows`; for another *generation*, from the first row."""
        if generation != self.generation:
            start = changes = 0
        return {"generation": self.generation} | self.table.rows(start, changes)

    def trajectory(self, generation: int, row: int) -> dict[str, Any]:
        """Return the transcript of the query in *row*.

        Raises:
            StaleRequest: the run was replaced, or its file has changed.
        """
        place = self.table.place(row) if generation == self.generation else None
        if place is None:
            raise StaleRequest("there is no such query; was the run started again?")
        found = self._read(place)
        if found is None or found.query.id != self.table.ids[row]:
            raise StaleRequest(f"{reader.NAME} has changed since it was read")
        return transcript(found)

    def _open(self, parts: tuple[Path, ...]) -> None:
        """Read the files of *parts* from their start."""
        self.parts = parts
        self._tails = [Tail(path / reader.NAME) for path in parts]
        self.in_flight = InFlightQueries(parts)

    def _start_again(self) -> None:
        """Read all files from their start."""
        self._open(self.parts)
        self._reset()

    def _reset(self) -> None:
        self.generation += 1
        self.table = RunTable(self.name, self.number, self._row_sample())

    def _row_sample(self) -> RowSample | None:
        """Return the sample that the table shows of the queries in the record; None if it shows all."""
        share = min(self._max_queries / (self.total or 1), 1.0) / 2**self._halvings
        if share == 1:
            return None
        return RowSample(share, self._max_iterations)

    @property
    def _max_iterations(self) -> int:
        allowed = self.record.fingerprint.get(runfile.MAX_ITERATIONS) if self.record else None
        return allowed if isinstance(allowed, int) else 0

    def _resumption(self) -> Resumption:
        """Return what the last invocation takes up again; nothing once it has ended."""
        if self.record is None or self.state == "ended":
            return Resumption()
        # Each shard has invocations of its own: of shards, a failed query is taken for ended.
        own = self.parts[0] == self.path and self.record.invocations
        return Resumption(own[-1].started if own else -math.inf, self._max_iterations)

    def _rebuild(self) -> None:
        """Compute the totals again; a pause in proportion to the duration follows, as in FigureCache."""
        began = self._environment.elapsed()
        if began < self._rebuild_from:
            return
        if not self.table.rebuild(self._read):
            self._start_again()  # a file changed meanwhile
        ended = self._environment.elapsed()
        self._rebuild_from = ended + max(MIN_PAUSE, PAUSE_FACTOR * (ended - began))

    def _look_at_parts(self) -> None:
        """Follow parts that began; start again if others are gone, because they were merged."""
        found = run_directories(self.path)
        began = tuple(part for part in found if part not in self.parts)
        if len(began) + len(self.parts) == len(found):
            self.parts += began
            self._tails += [Tail(path / reader.NAME) for path in began]
            self.in_flight.follow(began)
        else:
            self._open(found)
            self._reset()

    def _read(self, place: Place) -> Trajectory | None:
        """Return the trajectory at *place*, if there is one."""
        part, offset = place
        try:
            with (self.parts[part] / reader.NAME).open("rb") as lines:
                lines.seek(offset)
                found = parse_line(lines.readline(), 0)
        except OSError:
            return None
        return found if isinstance(found, Trajectory) else None

    def _look_at_record(self) -> None:
        seen = [_seen(part / runfile.NAME) for part in self.parts]
        if seen != self._record_seen:
            self._record_seen = seen
            self.record, self.record_notes = read_run_record(self.path)
            if self.table.sample != self._row_sample():  # more queries, or more iterations
                self._start_again()


def _together(growths: Sequence[Growth]) -> Growth:
    """Return the growth of all files; its lines are those of all, whose offsets belong to their files."""
    if len(growths) == 1:
        return growths[0]
    return Growth(
        tuple(line for growth in growths for line in growth.lines),
        replaced=any(growth.replaced for growth in growths),
        more=any(growth.more for growth in growths),
        torn=any(growth.torn for growth in growths),
        error=next((growth.error for growth in growths if growth.error is not None), None),
    )


def _seen(file: Path) -> tuple[int, ...] | None:
    """Return a value that changes with *file*; None if it does not exist."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns
