"""Journal of the finished calls of unfinished queries, so that no call is made twice.

An entry is found by its call's place, its sample's index and a hash of the whole request: a changed request
finds nothing. Decisions of rules that depend on time are kept beside the calls, so that a resumed run repeats
them. Each line carries a checksum; a damaged one is left out, and its call made again. Entries of finished
queries are dropped on opening, at the end, and whenever the file has grown.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tpo.errors import StoreError
from tpo.store.codec import SCHEMA, Codec, check_schema
from tpo.store.jsonline import from_line, unseal_json
from tpo.store.lines import AppendFile, Write
from tpo.types import Completion, Scope, Score

log = logging.getLogger(__name__)

JOURNAL = "journal.jsonl"

_SORTED = json.JSONEncoder(sort_keys=True)

COMPACT_AT = 16 << 20
"""Size in bytes at which the file is compacted first; later, twice the size after the last time."""

Decision = bool | int | float | str
"""Decision of a stopping rule, or the measurement behind it."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A finished call of a query, or a decision of *rule* on it."""

    schema: Literal[2]
    query: str
    step: int
    branch: int = 0
    phase: str = ""
    ordinal: int = 0
    index: int | None = None
    request: str = ""
    completion: Completion | None = None
    score: Score | None = None
    rule: str = ""
    decision: Decision | None = None

    @property
    def answer(self) -> Completion | Score | Decision | None:
        """The completion, score or decision."""
        return self.completion or self.score or self.decision


Key = tuple[int, int, str, int, int | None, str, str]
"""Step, branch, phase, ordinal, index, request and rule of an entry, below its query."""

_LINE = Codec(JournalLine)
_BEGINNING = b'{"schema":%d,' % SCHEMA


class Journal:
    """The journal at *path*, created if missing; entries of queries in *finished* are dropped.

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
        self._entries: dict[str, dict[Key, Completion | Score | Decision]] = {}
        self._settled: set[str] = set()
        self._compacting: asyncio.Task[None] | None = None
        try:
            self._load(finished)
        except BaseException:
            self._file.close_now()
            raise

    @property
    def calls(self) -> int:
        """Number of finished calls that it held when it was opened."""
        answers = (answer for entries in self._entries.values() for answer in entries.values())
        return sum(isinstance(answer, Completion | Score) for answer in answers)

    def completion(self, scope: Scope, index: int, request: str) -> Completion | None:
        """Return sample *index* of the policy call *request* at *scope*, if it is there."""
        found = self._find(scope.query, _call_key(scope, index, request))
        return found if isinstance(found, Completion) else None

    def score(self, scope: Scope, request: str) -> Score | None:
        """Return the score of the reward call *request* at *scope*, if it is there."""
        found = self._find(scope.query, _call_key(scope, scope.index, request))
        return found if isinstance(found, Score) else None

    def decision(self, query: str, step: int, rule: str) -> Decision | None:
        """Return what *rule* decided at *step* of *query*, if it is there."""
        found = self._find(query, _decision_key(step, rule))
        return None if isinstance(found, Completion | Score) else found

    async def append(self, scope: Scope, request: str, answer: Completion | Score) -> None:
        """Return once *answer* is on disk.

        Raises:
            StoreError: it could not be written.
        """
        await self.enqueue(scope, request, answer)

    def enqueue(self, scope: Scope, request: str, answer: Completion | Score) -> asyncio.Future[None]:
        """Start to write *answer* and return a future that is done once it is on disk."""
        line = JournalLine(
            SCHEMA,
            scope.query,
            scope.step,
            scope.branch,
            scope.phase,
            scope.ordinal,
            answer.index if isinstance(answer, Completion) else scope.index,
            request,
            completion=answer if isinstance(answer, Completion) else None,
            score=answer if isinstance(answer, Score) else None,
        )
        return self._file.enqueue(_LINE.encode(line))

    async def decide(self, query: str, step: int, rule: str, decision: Decision) -> None:
        """Record what *rule* decided at *step* of *query*; return once it is on disk.

        A number must be finite.

        Raises:
            StoreError: it could not be written.
        """
        self._entries.setdefault(query, {})[_decision_key(step, rule)] = decision
        await self._file.append(_LINE.encode(JournalLine(SCHEMA, query, step, rule=rule, decision=decision)))

    def settle(self, query: str) -> None:
        """Drop the entries of *query*, whose trajectory is on disk."""
        self._entries.pop(query, None)
        self._settled.add(query)
        idle = self._compacting is None or self._compacting.done()
        if self._file.size >= self._compact_at and idle:
            self._compacting = asyncio.get_running_loop().create_task(self._compact_quietly())

    async def compact(self) -> None:
        """Remove the entries of settled queries from the file.

        Raises:
            StoreError: that failed; the file is as it was.
        """
        settled = frozenset(self._settled)
        if settled:
            await self._file.rewrite(lambda line: _query_of(line) not in settled)
            self._settled -= settled

    async def clear(self) -> None:
        """Remove all entries.

        Raises:
            StoreError: that failed; the file is as it was.
        """
        await self._file.rewrite(lambda _: False)
        self._entries.clear()

    async def close(self) -> None:
        """Write pending entries and close the file."""
        if self._compacting is not None:
            await self._compacting
        await self._file.close()

    def close_now(self) -> None:
        """Close the file; no entry may be pending."""
        self._file.close_now()

    async def _compact_quietly(self) -> None:
        """Compact the journal; log a failure, since a long journal is no reason to end a run."""
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
            self._file.rewrite_now(lambda line: self._take(line, finished) == "kept")

    def _take(self, line: bytes, finished: Collection[str]) -> str:
        """Read *line* into memory if it is needed; return what became of it."""
        try:
            entry = decode_journal_line(line, self._file.path)
        except ValueError:
            return "damaged"
        if entry.query in finished:
            return "finished"
        if entry.answer is not None:
            self._entries.setdefault(entry.query, {})[_key(entry)] = entry.answer
        return "kept"

    def _find(self, query: str, key: Key) -> Completion | Score | Decision | None:
        return self._entries.get(query, {}).get(key)


def read_calls(files: Iterable[Path], finished: Collection[str]) -> dict[str, list[bytes]]:
    """Return the whole lines of the journals *files* by query, less those of *finished* queries."""
    calls: dict[str, list[bytes]] = {}
    for file in files:
        with suppress(FileNotFoundError), file.open("rb") as lines:
            for line in lines:
                query = _query_of(line)
                if query is not None and query not in finished and line.endswith(b"\n"):
                    calls.setdefault(query, []).append(line)
    return calls


def decode_journal_line(line: bytes, place: object) -> JournalLine:
    """Return the entry of a sealed *line*.

    Raises:
        ValueError: the line is not as it was written, or holds no entry.
        StoreError: another version wrote it; *place* is where it stands.
    """
    encoded = unseal_json(line)
    if not encoded.startswith(_BEGINNING):
        check_schema(from_line(encoded).get("schema"), place)
    entry = _LINE.decode_json(encoded)
    if entry.answer is None:
        raise ValueError("it keeps neither a completion nor a score nor a decision")
    return entry


def request_hash(*request: Any) -> str:
    """Return a hash of all that a call sends; equal for values that JSON writes equally.

    Raises:
        StoreError: *request* holds a value that JSON has no form for.
    """
    try:
        text = _SORTED.encode(request)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"a call's messages must be plain JSON values, and are not: {error}") from error
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _key(line: JournalLine) -> Key:
    return (line.step, line.branch, line.phase, line.ordinal, line.index, line.request, line.rule)


def _call_key(scope: Scope, index: int | None, request: str) -> Key:
    return (scope.step, scope.branch, scope.phase, scope.ordinal, index, request, "")


def _decision_key(step: int, rule: str) -> Key:
    return (step, 0, "", 0, None, "", rule)


def _query_of(line: bytes) -> str | None:
    """Return the query of *line*, read from its beginning alone; None where there is none.

    No text can hold what ends that beginning, since in JSON each of its quotation marks is escaped.
    """
    beginning, found, _ = line.partition(b',"step":')
    try:
        return str(json.loads(beginning + b"}")["query"]) if found else None
    except (ValueError, KeyError, TypeError):
        return None
