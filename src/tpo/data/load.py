"""Queries of a data set: streamed, checked and counted."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tpo.data.digest import IdAssignment, query_digest
from tpo.data.hub import HubSource
from tpo.data.options import DEFAULTS, ReadOptions
from tpo.data.row import Row, raise_invalid
from tpo.data.sources import STANDARD_INPUT, Spec, open_source
from tpo.data.standard_input import NAME as STDIN_NAME
from tpo.data.to_query import INPUTS, INSTRUCTION, to_query
from tpo.errors import DataError
from tpo.types import Query

__all__ = ["count_queries", "data_digest", "load_queries", "open_source"]

log = logging.getLogger(__name__)


def load_queries(
    spec: Spec,
    options: ReadOptions = DEFAULTS,
    *,
    column: str | None = None,
    limit: int | None = None,
    known_ids: Mapping[str, Sequence[str]] | None = None,
) -> Iterable[Query]:
    """Return the queries of *spec*: a stream in order, from the start each time.

    A missing file is refused at once, an invalid row when it is reached: call :func:`count_queries` first.

    Args:
        spec: a path, a pattern, ``-`` for standard input, ``hf:NAME[[:CONFIG]:SPLIT]``, or several of these.
        options: how rows become queries.
        column: short for that option.
        limit: short for that option.
        known_ids: ids of an earlier pass, by digest (:func:`tpo.data.ids_by_digest`): rows without an id keep
            theirs when other rows are added or their order changes. A row that was changed takes the id of
            the row that it replaces. Without it they are ``q0``, ``q1``, … by position.

    Raises:
        DataError: *spec* cannot be read, or a row is invalid; the message names file and line.
        ConfigError: an option is out of range.
        MissingExtra: the format needs a library of the extra ``data``.
    """
    return _queries(spec, options, column, limit, known_ids)


def count_queries(
    spec: Spec, options: ReadOptions = DEFAULTS, *, column: str | None = None, limit: int | None = None
) -> int | None:
    """Return how many queries :func:`load_queries` gives; every row of a file is checked on the way.

    A file is read once, as a stream. Of a Hugging Face data set only the first row is checked, and the number
    is what the data set itself declares, or None. How many rows ``skip_invalid`` leaves out is logged.

    Raises:
        DataError: as :func:`load_queries`, and for every invalid row of a file.
    """
    queries = _queries(spec, options, column, limit)
    source = queries.source
    if not isinstance(source, HubSource):
        return queries.check()
    next(iter(queries))
    size, limit = source.known_size(), queries.options.limit
    if size is None or queries.options.skip_invalid:
        return None
    return size if limit is None else min(size, limit)


def data_digest(spec: Spec, options: ReadOptions = DEFAULTS) -> str:
    """Return a hash that changes with the content of *spec* or with options that change its queries.

    Compression does not change it, nor do ``column`` and ``limit``. A file's is ``sha256:…`` of its
    decompressed bytes, a Hugging Face data set's its own fingerprint.

    Raises:
        DataError: *spec* cannot be read.
    """
    digest = open_source(spec, options).digest()
    if not options.changes:
        return digest
    changed = json.dumps([digest, options.changes], sort_keys=True)
    return f"sha256:{hashlib.sha256(changed.encode()).hexdigest()}"


def _queries(
    spec: Spec,
    options: ReadOptions,
    column: str | None = None,
    limit: int | None = None,
    known_ids: Mapping[str, Sequence[str]] | None = None,
) -> _Queries:
    if column is not None:
        options = replace(options, column=column)
    if limit is not None:
        options = replace(options, limit=limit)
    return _Queries(spec, options, known_ids)


@dataclass
class _Skipped:
    """Invalid rows that were left out: how many, and why the first was."""

    count: int = 0
    first: DataError | None = None

    def __call__(self, error: DataError) -> None:
        self.count += 1
        self.first = self.first or error


class _Queries:
    """Queries that can be streamed more than once."""

    def __init__(
        self, spec: Spec, options: ReadOptions, known_ids: Mapping[str, Sequence[str]] | None
    ) -> None:
        self._spec = spec
        self.source = open_source(spec, options)
        self.options = options
        names = [spec] if isinstance(spec, str) else spec
        self._name = ", ".join(STDIN_NAME if name == STANDARD_INPUT else name for name in names)
        self._known = known_ids

    @cached_property
    def _present(self) -> frozenset[str] | None:
        """Digests of all valid rows, whatever the limit; None where no ids are known."""
        if not self._known:
            return None
        whole = _Queries(self._spec, replace(self.options, limit=None, skip_invalid=True), None)
        return frozenset(map(query_digest, whole))

    def __iter__(self) -> Iterator[Query]:
        return self._read(_Skipped())

    def check(self) -> int:
        """Read every row; log what was skipped, and Alpaca's input where the prompt leaves it out."""
        skipped, count, inputs = _Skipped(), 0, 0
        for query in self._read(skipped):
            count += 1
            inputs += self.options.column == INSTRUCTION and any(map(query.metadata.get, INPUTS))
        if skipped.count:
            log.warning(
                "%s: %d of %d rows were skipped as invalid; the first: %s",
                *(self._name, skipped.count, skipped.count + count, skipped.first),
            )
        if inputs:
            log.warning(
                "%s: %d rows have an input beside the instruction, which the prompt leaves out; omit --column"
                " to read both",
                *(self._name, inputs),
            )
        return count

    def _read(self, skipped: _Skipped) -> Iterator[Query]:
        on_invalid = skipped if self.options.skip_invalid else raise_invalid
        ids = IdAssignment(self._known, self._present)
        places: dict[str, str] = {}
        for row in self.source.rows(on_invalid):
            position = len(places) + skipped.count
            try:
                query = self._query(row, position, ids, places)
            except DataError as error:
                on_invalid(error)
                continue
            yield query
            if len(places) == self.options.limit:
                break
        if not places:
            first = f": {skipped.first}" if skipped.first else ""
            raise DataError(f"{self._name}: holds no query{first}")

    def _query(self, row: Row, position: int, ids: IdAssignment, places: dict[str, str]) -> Query:
        query = to_query(row, "", self.options)
        name = query.id or ids.id_of(query, position)
        query = Query(name, query.messages, query.reference, query.metadata, position)
        earlier = places.setdefault(query.id, row.place)
        if earlier is not row.place:
            raise DataError(
                f"{row.place}: the id {query.id!r} was given before, at {earlier}; ids must be "
                "unique: resume matches queries by id"
            )
        return query
