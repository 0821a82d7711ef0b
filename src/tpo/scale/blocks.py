"""Blocks of queries: what a worker runs at a time, each in a run directory named after its query ids.

The name depends on the ids alone. So the block that a restarted worker or driver makes of the same queries
finds the trajectories and the journal of its first try, wherever it runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tpo.errors import StoreError
from tpo.store.codec import Codec
from tpo.store.files import replace_file
from tpo.store.journal import JOURNAL
from tpo.store.jsonline import plain
from tpo.store.lock import Lock
from tpo.store.reader import NAME, find_places, whole_lines
from tpo.store.runfile import RunRecord, write_run
from tpo.store.shards import BLOCK
from tpo.store.trajectory_line import encode_trajectory
from tpo.types import Query, Trajectory

QUERIES = "queries.jsonl"
"""File of the queries in a block's directory."""

_QUERY = Codec(Query)


def block_name(ids: Iterable[str]) -> str:
    """Return the name of the directory of the block of *ids*, in this order."""
    digest = hashlib.blake2b(digest_size=10)
    for each in ids:
        encoded = each.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%s" % (len(encoded), encoded))
    return BLOCK + digest.hexdigest()


def write_block(path: Path, queries: Iterable[Query]) -> None:
    """Write *queries* into the directory *path*, which is made if missing.

    Raises:
        StoreError: they cannot be written.
    """
    lines = (_QUERY.encode(replace(query, metadata=plain(query.metadata))) for query in queries)
    path.mkdir(parents=True, exist_ok=True)
    replace_file(path / QUERIES, b"".join(lines))


def begin_block(
    path: Path,
    record: RunRecord,
    now: float,
    trajectories: Iterable[Trajectory],
    calls: Sequence[bytes],
) -> None:
    """Give the block in the directory *path* of the run of *record* what it continues and does not have.

    *trajectories* failed or had fewer iterations; those of queries that the block has are left out. *calls*
    are lines for its journal, behind those that it has. Nothing is written if there are none of both.

    Raises:
        StoreBusy: a worker is in the block.
        StoreError: they cannot be written.
    """
    given = list(trajectories)
    if not given and not calls:
        return
    with Lock(path):  # a worker of an earlier try may have written until now
        places = find_places(path / NAME) if (path / NAME).exists() else None
        if places is None:
            begun = RunRecord(record.configuration, record.fingerprint).begin(now)
            write_run(path, begun.end(now, {}, interrupted=True))
        lines = [encode_trajectory(each) for each in given if each.query.id not in (places or ())]
        for file, more in ((path / JOURNAL, calls), (path / NAME, lines)):
            own = [line for *_, line in whole_lines(file)] if file.exists() else []
            known = frozenset(own)
            replace_file(file, b"".join([*own, *(line for line in more if line not in known)]))


def read_block(path: Path) -> tuple[Query, ...]:
    """Return the queries of the block in the directory *path*.

    Raises:
        StoreError: they cannot be read: the folder is on no file system that this machine shares, or damaged.
    """
    try:
        return tuple(map(_QUERY.decode, (path / QUERIES).read_bytes().splitlines(keepends=True)))
    except OSError as error:
        raise StoreError(
            f"{path / QUERIES}: {error.strerror}; --out must be on a file system that every node shares"
        ) from error
    except ValueError as error:
        raise StoreError(f"{path / QUERIES} is damaged: {error}") from error
