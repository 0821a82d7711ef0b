"""Merge shards into one run: check that they belong together and are complete, write in the data's order.

The parts of a run with ``--keep-parts`` are merged in the same way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial as bound
from itertools import islice
from pathlib import Path
from typing import Any

from tpo.errors import ConfigError, DataError, StoreBusy, StoreError, StoreMismatch
from tpo.plurals import queries
from tpo.runs.shards import Shard, shards_at
from tpo.runs.summary import Summary, Tally
from tpo.scale.recorded_data import RecordedData
from tpo.scale.run_command import run_command
from tpo.store import RunRecord, is_complete, read_run, recorded_ids
from tpo.store.files import rewrite_file, sync_directory
from tpo.store.index import Counts, TrajectoryIndex
from tpo.store.journal import JOURNAL
from tpo.store.lock import Lock
from tpo.store.reader import NAME
from tpo.store.runfile import EXTENDABLE, MAX_ITERATIONS, is_measured, join_records, write_run
from tpo.store.runfile import NAME as RUN_FILE
from tpo.store.shards import FOLDER, PARTS, block_directories
from tpo.store.trajectory_line import decode_trajectory
from tpo.types import Query

SHOWN = 5
"""Ids and shards that an error names; the rest are counted."""


Queries = Callable[[], Iterable[Query] | None]
"""Reads the queries of a run or of a shard from its data; None where that is not here or has changed."""


@dataclass(frozen=True, slots=True)
class _Part:
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


def merge_shards(path: Path, *, partial: bool = False) -> Summary:
    """Write the shards of the run at *path* into one run there, and return its summary.

    The shards stay; merging again replaces the merged run unless work has been done in it. Calls of
    unfinished queries go into the journal of the merged run, which can be resumed. Of a run with
    ``--keep-parts`` the parts are written into its own files; it continues without that option.

    Args:
        path: the directory that holds the folder ``shards``.
        partial: merge although shards are missing, unfinished or have failed queries.

    Raises:
        StoreBusy: a process works in a shard, or in *path*.
        StoreMismatch: the shards have different settings.
        StoreError: there are no shards, they do not make one run, or they are not complete.
    """
    if (path / PARTS).exists():
        return _merge_parts(path, partial)
    parts = _read_parts(path)
    with ExitStack() as stack:
        for each in (path, *(part.path for part in parts)):
            stack.callback(_locked(each).release)
        joint = join_records(path, [part.record for part in parts])
        _require_unchanged(path, joint)
        index = stack.enter_context(_index(joint, [part.path / NAME for part in parts]))
        parts = [replace(part, counts=index.counts(number)) for number, part in enumerate(parts)]
        _require_one_run(path, parts, index)
        if not partial:
            _require_complete(path, parts, index)
        return _write(path, joint, index, [part.path / JOURNAL for part in parts])


def _merge_parts(path: Path, partial: bool) -> Summary:
    """Write the parts of the run at *path*, which keeps them, into its own files.

    Raises:
        StoreError: it is not complete.
    """
    with ExitStack() as stack:
        stack.callback(_locked(path).release)
        record, blocks = read_run(path), block_directories(path)
        for block in blocks:
            _locked(block).release()  # no worker of a driver that died is left
        files = [block / NAME for block in blocks if (block / NAME).exists()]
        index = stack.enter_context(_index(record, files))
        if duplicates := index.duplicates(SHOWN):
            raise StoreError(
                f"{path / FOLDER}: query ids occur in more than one part: {', '.join(duplicates)}"
            )
        if not partial:
            _require_complete_run(path, record, index.counts())
        fingerprint = {key: value for key, value in record.fingerprint.items() if key != "parts"}
        configuration = {**record.configuration, "keep_parts": False}
        whole = replace(record, configuration=configuration, fingerprint=fingerprint)
        summary = _write(path, whole, index, [block / JOURNAL for block in blocks])
        (path / PARTS).unlink()
        return summary


def _index(record: RunRecord, files: list[Path]) -> TrajectoryIndex:
    return TrajectoryIndex(files, record.fingerprint.get(MAX_ITERATIONS))


def _require_complete_run(path: Path, record: RunRecord, counts: Counts) -> None:
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


def _read_parts(path: Path) -> list[_Part]:
    parts = [_Part(shard, each, read_run(each), Counts()) for shard, each in shards_at(path).items()]
    if not parts:
        raise StoreError(f"{path}: no shards are here; name the --out directory of runs with --shard")
    counts = sorted({part.shard.count for part in parts})
    if len(counts) > 1:
        raise StoreError(
            f"{path / FOLDER} holds shards of {' and of '.join(map(str, counts))}: delete those of one kind"
        )
    for part in parts[1:]:
        _require_agreement(parts[0], part)
    return sorted(parts, key=lambda part: part.shard)


def _require_agreement(first: _Part, other: _Part) -> None:
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


def _locked(path: Path) -> Lock:
    try:
        return Lock(path)
    except StoreBusy as error:
        raise StoreBusy(f"{error}; a shard is merged after its run has ended") from error


def _require_unchanged(path: Path, joint: RunRecord) -> None:
    """Refuse to replace a merged run in which work was done since.

    Raises:
        StoreError: it was, or the run there is another.
    """
    if not (path / RUN_FILE).exists():
        return
    there = read_run(path)
    resumed = any(each not in joint.invocations for each in there.invocations)
    if resumed or _unextendable(there) != _unextendable(joint):
        raise StoreError(
            f"{path} holds a run that is no merge of these shards, or was resumed since: "
            f"move its {RUN_FILE} and {NAME} away to merge again"
        )


def _unextendable(record: RunRecord) -> dict[str, Any]:
    return {key: value for key, value in record.fingerprint.items() if key not in EXTENDABLE}


def _require_one_run(path: Path, parts: list[_Part], index: TrajectoryIndex) -> None:
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


def _require_complete(path: Path, parts: list[_Part], index: TrajectoryIndex) -> None:
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


def _incomplete(part: _Part, held: Queries, index: TrajectoryIndex, number: int) -> str:
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


def _write(path: Path, joint: RunRecord, index: TrajectoryIndex, journals: list[Path]) -> Summary:
    """Write the merged trajectories, the journal, and last ``run.json``, which makes them a run."""
    tally = Tally()

    def lines() -> Iterator[bytes]:
        for line in index.lines():
            tally.add(decode_trajectory(line))
            yield line

    try:
        os.close(rewrite_file(path / NAME, lambda file: file.writelines(lines())))
        os.close(rewrite_file(path / JOURNAL, lambda file: file.writelines(_journal_lines(journals))))
        sync_directory(path)
    except OSError as error:
        raise StoreError(f"cannot write the merged run to {path}: {error.strerror}") from error
    summary = tally.summary(joint.seconds, joint.retries)
    totals: Mapping[str, Any] = summary.record()
    write_run(path, replace(joint, totals=totals))
    return summary


def _journal_lines(journals: list[Path]) -> Iterator[bytes]:
    for file in journals:
        if file.exists():
            with file.open("rb") as lines:
                yield from (line for line in lines if line.endswith(b"\n"))
