"""Merge shards into one run: check that they belong together and are complete, write in the data's order.

The parts of a run with ``--keep-parts`` are merged in the same way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from tpo.config.settings import DATA_OPTIONS
from tpo.data import ReadOptions
from tpo.errors import DataError, StoreBusy, StoreError, StoreMismatch
from tpo.plurals import queries
from tpo.runs.inputs import RunInput, SourceInput
from tpo.runs.shards import Shard, shards_at
from tpo.runs.summary import Summary, Tally
from tpo.scale.run_command import run_command
from tpo.store import RunRecord, read_run
from tpo.store.files import rewrite_file, sync_directory
from tpo.store.index import TrajectoryIndex
from tpo.store.journal import JOURNAL
from tpo.store.lock import Lock
from tpo.store.reader import NAME
from tpo.store.runfile import EXTENDABLE, is_measured, join_records, write_run
from tpo.store.runfile import NAME as RUN_FILE
from tpo.store.shards import FOLDER, PARTS, block_directories
from tpo.store.trajectory_line import decode_trajectory

SHOWN = 5
"""Ids and shards that an error names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A shard's directory with its record, and how many of its queries have ended."""

    shard: Shard
    path: Path
    record: RunRecord
    finished: int = 0
    failed: int = 0

    @property
    def total(self) -> int | None:
        """Number of queries of the shard; None if its run did not know."""
        count = self.record.configuration.get("queries")
        return count if isinstance(count, int) else None

    @property
    def is_complete(self) -> bool:
        """Return whether every query is finished; if their number is unknown, whether the run has ended."""
        if self.total is None:
            return not self.failed and _has_ended(self.record)
        return self.finished == self.total


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
        index = stack.enter_context(TrajectoryIndex([part.path / NAME for part in parts]))
        parts = [_counted(part, index, number) for number, part in enumerate(parts)]
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
        index = stack.enter_context(TrajectoryIndex(files))
        if duplicates := index.duplicates(SHOWN):
            raise StoreError(
                f"{path / FOLDER}: query ids occur in more than one part: {', '.join(duplicates)}"
            )
        counts = [index.counts(number) for number in range(len(files))]
        finished, failed = (sum(count[kind] for count in counts) for kind in (0, 1))
        total = record.configuration.get("queries")
        complete = _has_ended(record) if total is None else finished == total
        if not partial and (failed or not complete):
            of_all = "" if total is None else f" of {total:,}"
            raise StoreError(
                f"{path}: {finished:,}{of_all} queries finished, {failed:,} failed: "
                "repeat the command of the run, or merge what there is with --partial"
            )
        fingerprint = {key: value for key, value in record.fingerprint.items() if key != "parts"}
        configuration = {**record.configuration, "keep_parts": False}
        whole = replace(record, configuration=configuration, fingerprint=fingerprint)
        summary = _write(path, whole, index, [block / JOURNAL for block in blocks])
        (path / PARTS).unlink()
        return summary


def _read_parts(path: Path) -> list[_Part]:
    parts = [_Part(shard, each, read_run(each)) for shard, each in shards_at(path).items()]
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


def _counted(part: _Part, index: TrajectoryIndex, number: int) -> _Part:
    finished, failed = index.counts(number)
    return replace(part, finished=finished, failed=failed)


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
    data = _data(parts[0].record)
    for number, part in enumerate(parts):
        if not part.is_complete:
            told = _incomplete(part, data, index, number)
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


def _incomplete(part: _Part, data: RunInput | None, index: TrajectoryIndex, number: int) -> str:
    """Return a sentence on what a shard lacks, with ids of queries that have not ended if *data* is here."""
    of_all = "" if part.total is None else f" of {queries(part.total)}"
    told = f"shard {part.shard}: {part.finished:,}{of_all} finished"
    failed = f", {part.failed:,} failed" if part.failed else ""
    lacking = 0 if part.total is None else part.total - part.finished - part.failed
    if lacking <= 0 or data is None:
        return told + failed
    names = (query.id for query in data.queries if part.shard.holds(query.id))
    first = ", ".join(islice((name for name in names if not index.holds(number, name)), SHOWN))
    return f"{told}{failed}, {lacking:,} not ended: {first}{', ...' if lacking > SHOWN else ''}"


def _data(record: RunRecord) -> RunInput | None:
    """Return the data of a shard's run if it is here and unchanged."""
    options: dict[str, Any] = {name: record.configuration.get(name) for name in DATA_OPTIONS}
    try:
        found = SourceInput(record.configuration.get("data", ""), ReadOptions(**options))
        return found if found.digest == record.fingerprint.get("data") else None
    except (DataError, OSError):
        return None


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
