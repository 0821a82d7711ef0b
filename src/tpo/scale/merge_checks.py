"""Checks of shards before they are merged: equal settings, ids in their own shard, finished queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial as bound
from itertools import islice
from pathlib import Path

from tpo.errors import ConfigError, DataError, StoreError, StoreMismatch
from tpo.plurals import queries
from tpo.runs.shards import Shard
from tpo.scale.recorded_data import RecordedData
from tpo.scale.run_command import run_command
from tpo.store import RunRecord, is_complete, recorded_ids
from tpo.store.index import Counts, TrajectoryIndex
from tpo.store.runfile import EXTENDABLE, is_measured
from tpo.store.shards import FOLDER
from tpo.types import Query

SHOWN = 5
"""Ids and shards that an error names; the rest are counted."""

Queries = Callable[[], Iterable[Query] | None]
"""Reads the queries of a run or of a shard from its data; None where that is not here or has changed."""


@dataclass(frozen=True, slots=True)
class ShardRun:
    """A shard's directory with its record, and how many of its queries have ended."""

    shard: Shard
    path: Path
    record: RunRecord
    counts: Counts

    @property
    def total(self) -> int | None:
        """Number of queries of the shard; None if its run did not know."""
        return _total(self.record)


def _total(record: RunRecord) -> int | None:
    count = record.configuration.get("queries")
    return count if isinstance(count, int) else None


def _is_complete(path: Path, record: RunRecord, counts: Counts, held: Queries) -> bool:
    """Return whether every query of the run at *path* is done; of an unknown number, whether it has ended.

    The run keeps queries whose rows the data has lost, so the counts may not tell: then *held* is read.
    """
    total, ended = _total(record), _has_ended(record)
    if total is None:
        return ended and not counts.failed
    if counts.done < total:
        return False
    exact = counts.all == total
    if exact and ended:
        return True
    with suppress(ConfigError, DataError):  # the data cannot be read here
        if (found := held()) is not None:
            return is_complete(path, record.fingerprint, found)
    return exact or (ended and not counts.failed)


def _has_ended(record: RunRecord) -> bool:
    """Return whether the last invocation of the run of *record* came to the end of its data."""
    return record.ended is not None and not record.invocations[-1].interrupted


def require_complete_run(path: Path, record: RunRecord, counts: Counts) -> None:
    """Refuse a run in parts that is not complete.

    Raises:
        StoreError: it is not.
    """
    if not _is_complete(path, record, counts, lambda: _run_queries(path, record)):
        total = _total(record)
        of_all = "" if total is None or counts.done > total else f" of {total:,}"
        raise StoreError(
            f"{path}: {counts.done:,}{of_all} queries finished, {counts.failed:,} failed: "
            "repeat the command of the run, or merge what there is with --partial"
        )


def _run_queries(path: Path, record: RunRecord) -> Iterable[Query] | None:
    """Return the queries of the run at *path*; those without an id have the one that is recorded."""
    data = RecordedData().of(record)
    if data is None:
        return None
    known = recorded_ids(path, record.fingerprint["data"])
    return data.queries if known is None else data.identified(known)


def require_agreement(first: ShardRun, other: ShardRun) -> None:
    """Refuse shards whose settings would give other trajectories.

    Raises:
        StoreMismatch: naming the settings.
    """
    here, there = first.record.fingerprint, other.record.fingerprint
    keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    differing = [key for key in keys if not (is_measured(key) and not (key in here and key in there))]
    if differing:
        rows = "\n".join(f"  {key}: {here.get(key)!r:.80} and {there.get(key)!r:.80}" for key in differing)
        advice = (
            "Repeat the command of every shard with the data and the iterations that are wanted"
            if set(EXTENDABLE).issuperset(differing)
            else f"Delete the directory of the wrong one and run it again, such as {other.path}"
        )
        raise StoreMismatch(
            f"shards {first.shard} and {other.shard} have different settings:\n{rows}\n{advice}"
        )


def require_one_run(path: Path, parts: list[ShardRun], index: TrajectoryIndex) -> None:
    """Refuse an id that occurs in two shards, or in a shard that it does not belong to.

    Raises:
        StoreError: there is one.
    """
    if duplicates := index.duplicates(SHOWN):
        raise StoreError(f"{path / FOLDER}: query ids occur in more than one shard: {', '.join(duplicates)}")
    for number, part in enumerate(parts):
        wrong = next((query for query in index.ids(number) if not part.shard.holds(query)), None)
        if wrong is not None:
            raise StoreError(
                f"{part.path}: query {wrong!r} belongs to another shard; was the directory renamed?"
            )


def require_complete(path: Path, parts: list[ShardRun], index: TrajectoryIndex) -> None:
    """Refuse missing, unfinished and failed shards, with the command that runs each of them.

    Raises:
        StoreError: there are some.
    """
    present = {part.shard.number for part in parts}
    configuration = parts[0].record.configuration
    missing = [n for n in range(1, parts[0].shard.count + 1) if n not in present]
    rows = [
        _row(f"shard {shard} is missing", run_command(configuration, path, str(shard)))
        for shard in (Shard(parts[0].shard.count, number) for number in missing)
    ]
    data = RecordedData()
    for number, part in enumerate(parts):
        held = bound(data.of_shard, part.record, part.shard)
        if not _is_complete(part.path, part.record, part.counts, held):
            told = _incomplete(part, held, index, number)
            rows.append(_row(told, run_command(part.record.configuration, path, str(part.shard))))
    if rows:
        more = f"\n  and {len(rows) - 4 * SHOWN:,} more shards" if len(rows) > 4 * SHOWN else ""
        raise StoreError(
            f"{path}: {len(rows):,} of {parts[0].shard.count:,} shards are not complete:\n"
            + "\n".join(rows[: 4 * SHOWN])
            + f"{more}\nRun these commands, or merge what there is with --partial"
        )


def _row(told: str, command: str) -> str:
    return f"  {told}\n    {command}"


def _incomplete(part: ShardRun, held: Queries, index: TrajectoryIndex, number: int) -> str:
    """Return a sentence on what a shard lacks, with ids of queries that have not ended if *held* has them."""
    counts, total = part.counts, part.total
    failed = f", {counts.failed:,} failed" if counts.failed else ""
    told = f"shard {part.shard}: {_finished(counts.done, total)}{failed}"
    lacking = 0 if total is None else total - counts.done - counts.failed
    if total is None or (lacking <= 0 and counts.done < total):
        return told
    ids = _not_ended(held, index, number)
    exact = f"{lacking:,} " if lacking > 0 and counts.all <= total else ""
    more = ", ..." if len(ids) > SHOWN else ""
    return f"{told}, {exact}not ended: {', '.join(ids[:SHOWN])}{more}" if ids else told


def _finished(done: int, total: int | None) -> str:
    if total is not None and done > total:
        return f"{done:,} finished, also of rows that the data has no longer"
    return f"{done:,}{'' if total is None else f' of {queries(total)}'} finished"


def _not_ended(held: Queries, index: TrajectoryIndex, number: int) -> list[str]:
    """Return ids of queries of a shard that have not ended, one more than are shown; none without data."""
    with suppress(ConfigError, DataError):
        ids = (query.id for query in held() or ())
        return list(islice((each for each in ids if not index.has_ended(number, each)), SHOWN + 1))
    return []
