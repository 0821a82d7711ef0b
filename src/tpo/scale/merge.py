"""Merge shards into one run, in the data's order.

The parts of a run with ``--keep-parts`` are merged in the same way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from tpo.errors import StoreBusy, StoreError
from tpo.runs.shards import shards_at
from tpo.runs.summary import Summary, Tally
from tpo.scale.merge_checks import (
    SHOWN,
    ShardRun,
    require_agreement,
    require_complete,
    require_complete_run,
    require_one_run,
)
from tpo.store import RunRecord, read_run
from tpo.store.files import rewrite_file, sync_directory
from tpo.store.index import Counts, TrajectoryIndex
from tpo.store.journal import JOURNAL
from tpo.store.lock import Lock
from tpo.store.reader import NAME
from tpo.store.runfile import EXTENDABLE, MAX_ITERATIONS, join_records, write_run
from tpo.store.runfile import NAME as RUN_FILE
from tpo.store.shards import FOLDER, PARTS, block_directories
from tpo.store.trajectory_line import decode_trajectory


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
        require_one_run(path, parts, index)
        if not partial:
            require_complete(path, parts, index)
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
            require_complete_run(path, record, index.counts())
        fingerprint = {key: value for key, value in record.fingerprint.items() if key != "parts"}
        configuration = {**record.configuration, "keep_parts": False}
        whole = replace(record, configuration=configuration, fingerprint=fingerprint)
        summary = _write(path, whole, index, [block / JOURNAL for block in blocks])
        (path / PARTS).unlink()
        return summary


def _index(record: RunRecord, files: list[Path]) -> TrajectoryIndex:
    return TrajectoryIndex(files, record.fingerprint.get(MAX_ITERATIONS))


def _read_parts(path: Path) -> list[ShardRun]:
    parts = [ShardRun(shard, each, read_run(each), Counts()) for shard, each in shards_at(path).items()]
    if not parts:
        raise StoreError(f"{path}: no shards are here; name the --out directory of runs with --shard")
    counts = sorted({part.shard.count for part in parts})
    if len(counts) > 1:
        raise StoreError(
            f"{path / FOLDER} holds shards of {' and of '.join(map(str, counts))}: delete those of one kind"
        )
    for part in parts[1:]:
        require_agreement(parts[0], part)
    return sorted(parts, key=lambda part: part.shard)


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
