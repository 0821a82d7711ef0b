"""Comparison of a run directory with settings and data: refuse, resume, or find complete."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tpo.data.digest import query_digest
from tpo.data.to_query import MAX_DEPTH
from tpo.errors import StoreError, StoreMismatch
from tpo.store import reader, runfile, schema1
from tpo.store.journal import JOURNAL
from tpo.store.jsonline import plain
from tpo.store.reader import Place, find_furthest, trajectory_files
from tpo.store.runfile import RunRecord, check_fingerprint, joined, read_run
from tpo.store.shards import FOLDER, shard_directories
from tpo.types import Query


def is_complete(
    path: Path,
    fingerprint: Mapping[str, Any],
    queries: Iterable[Query] | None,
    columns: Collection[str] = (),
) -> bool:
    """Return whether the run at *path* has finished all of *queries* with all iterations allowed now.

    Reads *queries* to their end only where the data has another digest than before. False for None: rows that
    cannot be read twice. *columns* are those of the data that a reward reads.

    Raises:
        StoreMismatch: the run cannot be resumed with *fingerprint*, a finished row has changed, or the data
            has other digests and none of the run's queries.
        StoreError: the run cannot be read.
    """
    there = read_run(path)
    _check_resumable(path, there, fingerprint)
    if queries is None or not (path / reader.NAME).exists():
        return False
    found = find_furthest(trajectory_files(path), fingerprint.get(runfile.MAX_ITERATIONS))
    places = {query: place for query, (_, place) in found.items()}
    finished = finished_ids(places, fingerprint)
    same_data = there.fingerprint.get("data") == fingerprint.get("data")
    complete, known = True, False
    columns = columns if had_other_data(there, fingerprint) else ()
    for query in queries:
        if query.id in finished:
            check_row(found[query.id][0].parent, places[query.id], query, columns)
        complete = complete and query.id in finished
        known = known or query.id in places
        if same_data and not complete:
            return False
    if places and not (known or same_data):
        raise StoreMismatch(
            f"{path} holds a run over other data: none of its {len(places):,} queries is in the data now. "
            "Give another --out, or --fresh to delete that run and start again"
        )
    return complete


def recorded_ids(path: Path, data: str) -> dict[str, tuple[str, ...]] | None:
    """Return the ids of the queries that the run at *path* recorded, by their digests.

    None where every invocation had the data of digest *data*, so that positions tell the ids, and where
    there is no run that can be resumed.

    Raises:
        StoreError: the run cannot be read.
    """
    if not ((path / runfile.NAME).exists() and (path / reader.NAME).exists()):
        return None
    there = read_run(path)
    if not _digests(there) - {None, data} or there.schema == schema1.SCHEMA:
        return None
    ids: dict[str, list[str]] = defaultdict(list)
    for query, (_, place) in find_furthest(trajectory_files(path), None).items():
        ids[place.digest].append(query)
    return {digest: tuple(of) for digest, of in ids.items()}


def finished_ids(places: Mapping[str, Place], fingerprint: Mapping[str, Any]) -> set[str]:
    """Return the ids of the queries at *places* that are done with the settings of *fingerprint*."""
    allowed = fingerprint.get(runfile.MAX_ITERATIONS)
    return {query for query, place in places.items() if place.is_done(allowed)}


def had_other_data(record: RunRecord, fingerprint: Mapping[str, Any]) -> bool:
    """Return whether an invocation of *record* had other data than that of *fingerprint*, or may have had."""
    data = fingerprint.get("data")
    return data is None or _digests(record) != {data}


def _digests(record: RunRecord) -> set[Any]:
    return {record.fingerprint.get("data"), *(each.data for each in record.invocations)}


def changed_columns(path: Path, place: Place, query: Query, columns: Collection[str]) -> list[str]:
    """Return those of *columns* in which *query* differs from its record at *place*."""
    if not columns:
        return []
    recorded = next(reader.read_places(path / reader.NAME, [place]), None)
    if recorded is None:
        return []
    there, now = recorded.query.metadata, query.metadata
    return [name for name in columns if _text(there.get(name)) != _text(now.get(name))]


def _text(value: Any) -> str:
    return json.dumps(plain(value, MAX_DEPTH), sort_keys=True)  # as in a line, below ``metadata``


def check_row(path: Path, place: Place, query: Query, columns: Collection[str] = ()) -> None:
    """Refuse a finished *query* whose row has changed, in *columns* that a reward reads as well.

    Raises:
        StoreMismatch: it has.
    """
    if place.digest != query_digest(query):
        raise _changed_row(path, query, "messages or its reference have")
    for column in changed_columns(path, place, query, columns):
        raise _changed_row(path, query, f"column {column!r}, which a reward reads, has")


def _changed_row(path: Path, query: Query, what: str) -> StoreMismatch:
    return StoreMismatch(
        f"query {query.id!r}: its {what} changed since {path} answered it. "
        "Rows may be added and reordered, not changed: restore the row, give the new one another id, "
        "or give another --out"
    )


def record_for(path: Path, configuration: Mapping[str, Any], fingerprint: Mapping[str, Any]) -> RunRecord:
    """Return the record to continue, or a new one.

    Raises:
        StoreMismatch: the run there has another fingerprint, or an earlier version made it.
        StoreError: there are trajectories, and nothing tells which configuration they have.
    """
    if not (path / runfile.NAME).exists():
        for name in (runfile.BACKUP, reader.NAME, JOURNAL):
            if (path / name).exists():
                raise StoreError(_without_record(path, name))
        refuse_shards(path, shard_directories(path))
        return RunRecord(configuration, fingerprint)
    there = read_run(path)
    _check_resumable(path, there, fingerprint)
    whole = joined(there.fingerprint, fingerprint)
    return RunRecord(configuration, whole, there.invocations, there.totals)


def refuse_shards(path: Path, shards: Sequence[Path]) -> None:
    """Refuse to begin a run in *path* beside *shards* of another.

    Raises:
        StoreError: there are some.
    """
    if shards:
        raise StoreError(
            f"{path} holds {len(shards):,} shards of a run, such as {shards[0].name}: give --shard, "
            f"join them with `tpo merge {path}`, or delete {path / FOLDER} to start anew"
        )


def _check_resumable(path: Path, there: RunRecord, fingerprint: Mapping[str, Any]) -> None:
    if there.schema == schema1.SCHEMA:
        raise StoreMismatch(
            f"{path} holds a run of an earlier version of tpo (schema 1), which report, view and export read "
            "but which cannot be resumed: give another --out, or --fresh to delete it and start again"
        )
    check_fingerprint(path, there.fingerprint, fingerprint)


def _without_record(path: Path, name: str) -> str:
    if name == runfile.BACKUP:
        return f"{path} has lost its {runfile.NAME}: `tpo repair {path}` restores it from {name}"
    return (
        f"{path} holds {name} but no {runfile.NAME}, so its settings are unknown. "
        "Give another --out, or --fresh to delete it"
    )
