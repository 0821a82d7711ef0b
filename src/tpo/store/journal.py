"""The finished calls of unfinished queries, so that no call is paid for twice.

An entry stands under its call's scope, its sample's index and a hash of the whole request: asked again with
anything changed, it does not answer. Each line carries a checksum; a damaged one is left out, and its call
made again. Entries of finished queries are dropped on opening, at the end, and whenever the file has grown.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tpo.errors import StoreError
from tpo.store.jsonline import flat, seal, unseal
from tpo.store.lines import AppendFile, Write
from tpo.store.records import SCHEMA, check_schema, score_from, score_record, served_from
from tpo.types import Completion, Scope, Score, Usage

log = logging.getLogger(__name__)

_SORTED = json.JSONEncoder(sort_keys=True)

COMPACT_AT = 16 << 20
"""Bytes from which the file is rewritten without what is no longer needed; then, twice what was left."""

Key = tuple[int, str, int | None, str]
"""Step, phase, index and request of an entry, below its query."""


class Journal:
    """The journal at *path*, made if missing; entries of queries in *finished* are dropped.

    Raises:
        StoreError: the file cannot be used, or another version wrote it.
    """

    def __init__(
        self,
        path: Path,
        finished: Collection[str] = (),
        *,
        compact_at: int = COMPACT_AT,
        write: Write = os.write,
    ) -> None:
        self._file = AppendFile(path, write=write)
        self._compact_floor = self._compact_at = compact_at
        self._entries: dict[str, dict[Key, Completion | Score]] = {}
        self._settled: set[str] = set()
        self._compacting: asyncio.Task[None] | None = None
        try:
            self._load(finished)
        except BaseException:
            self._file.close_now()
            raise

    @property
    def calls(self) -> int:
        """How many finished calls it held when it was opened."""
        return sum(len(entries) for entries in self._entries.values())

    def completion(self, scope: Scope, index: int, request: str) -> Completion | None:
        """Sample *index* of the policy call *request* at *scope*, if it is there."""
        found = self._entries.get(scope.query, {}).get((scope.step, scope.phase, index, request))
        return found if isinstance(found, Completion) else None

    def score(self, scope: Scope, request: str) -> Score | None:
        """The score of the reward call *request* at *scope*, if it is there."""
        found = self._entries.get(scope.query, {}).get((scope.step, scope.phase, scope.index, request))
        return found if isinstance(found, Score) else None

    async def append(self, scope: Scope, request: str, answer: Completion | Score) -> None:
        """Return once *answer* is on disk.

        Raises:
            StoreError: it could not be written.
        """
        await self.enqueue(scope, request, answer)

    def enqueue(self, scope: Scope, request: str, answer: Completion | Score) -> asyncio.Future[None]:
        """As :meth:`append`, without a task of its own: what it returns is done once *answer* is on disk."""
        return self._file.enqueue(seal(_record(scope, request, answer)))

    def settle(self, query: str) -> None:
        """The trajectory of *query* is on disk: its entries are needed no longer."""
        self._entries.pop(query, None)
        self._settled.add(query)
        idle = self._compacting is None or self._compacting.done()
        if self._file.size >= self._compact_at and idle:
            self._compacting = asyncio.get_running_loop().create_task(self._compact_quietly())

    async def compact(self) -> None:
        """Drop the entries of settled queries from the file.

        Raises:
            StoreError: that failed; the file is as it was.
        """
        settled = frozenset(self._settled)
        if settled:
            await self._file.rewrite(lambda line: _query_of(line) not in settled)
            self._settled -= settled

    async def close(self) -> None:
        """Write what waits, then let the file go."""
        if self._compacting is not None:
            await self._compacting
        await self._file.close()

    def close_now(self) -> None:
        """Let the file go; nothing may wait to be written."""
        self._file.close_now()

    async def _compact_quietly(self) -> None:
        """A journal that is too long is no reason to end a run."""
        try:
            await self.compact()
        except StoreError as error:
            log.warning("%s; the run goes on", error)
        self._compact_at = max(self._compact_floor, 2 * self._file.size)

    def _load(self, finished: Collection[str]) -> None:
        drop: Counter[str] = Counter()
        with self._file.path.open("rb") as lines:
            for line in lines:
                drop[self._take(line, finished)] += 1
        if drop["damaged"]:
            log.warning(
                "%s: %d damaged lines are left out; their calls are made again",
                self._file.path,
                drop["damaged"],
            )
        if drop["damaged"] or drop["finished"]:
            self._file.rewrite_now(lambda line: _query_of(line) in self._entries)

    def _take(self, line: bytes, finished: Collection[str]) -> str:
        """Read *line* into memory if it is needed; what became of it."""
        try:
            record = unseal(line)
            check_schema(record, self._file.path)
            query, key, answer = _entry(record)
        except (ValueError, KeyError, TypeError, AttributeError):
            return "damaged"
        if query in finished:
            return "finished"
        self._entries.setdefault(query, {})[key] = answer
        return "kept"


def request_hash(*request: Any) -> str:
    """A hash of everything that a call sends; equal for what JSON writes equally.

    Raises:
        StoreError: *request* holds a value that JSON has no form for.
    """
    try:
        text = _SORTED.encode(request)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"a call's messages must be plain JSON values, and are not: {error}") from error
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _record(scope: Scope, request: str, answer: Completion | Score) -> dict[str, Any]:
    index = answer.index if isinstance(answer, Completion) else scope.index
    record = {"schema": SCHEMA} | flat(scope) | {"index": index, "request": request}
    if isinstance(answer, Completion):
        return record | {"completion": _completion_record(answer)}
    return record | {"score": {"value": answer.value} | score_record(answer)}


def _completion_record(completion: Completion) -> dict[str, Any]:
    record = flat(completion) | {"usage": flat(completion.usage)}
    del record["index"]
    if completion.served is not None:
        record["served"] = flat(completion.served)
    return record


def _entry(record: Mapping[str, Any]) -> tuple[str, Key, Completion | Score]:
    index = record["index"]
    key = (record["step"], record["phase"], index, record["request"])
    if "score" in record:
        return record["query"], key, score_from(record["score"]["value"], record["score"])
    said = record["completion"]
    usage = Usage(**said["usage"])
    return (
        record["query"],
        key,
        Completion(index, said["text"], said["finish_reason"], usage, said["reasoning"], served_from(said)),
    )


def _query_of(line: bytes) -> str | None:
    """Whose *line* it is, read from its beginning alone; None where that is not as :func:`_record` has it.

    No text can hold what ends that beginning, since in JSON each of its quotation marks is escaped.
    """
    beginning, found, _ = line.partition(b',"step":')
    try:
        return str(json.loads(beginning + b"}")["query"]) if found else None
    except (ValueError, KeyError, TypeError):
        return None
