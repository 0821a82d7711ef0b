"""The queries of a run with their total and digest: from a data source by name, or in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, cast

from tpo.data import ReadOptions, count_queries, data_digest, load_queries
from tpo.data.digest import IdAssignment, query_digest
from tpo.data.options import DEFAULTS
from tpo.data.row import Row
from tpo.data.sources import Spec, named
from tpo.data.to_query import to_query
from tpo.errors import ConfigError, DataError
from tpo.types import Query

KnownIds = Mapping[str, Sequence[str]]
"""Ids of an earlier run by query digest (:func:`tpo.data.query_digest`)."""
QueryRow = str | Mapping[str, Any] | Query
"""A query as Python callers write it: a prompt, a row as in a JSON file, or a :class:`Query`."""
Data = str | Path | Iterable[QueryRow | Path]
"""Data as Python callers name it: a path, ``hf:NAME``, several paths, or queries in memory."""


class RunInput(Protocol):
    """The queries of a run."""

    @property
    def source(self) -> Spec:
        """Name of the data for the record, or the names of several."""
        ...

    @property
    def queries(self) -> Iterable[Query]:
        """The queries, from the start each time."""
        ...

    @property
    def total(self) -> int | None:
        """Number of queries; None where it is unknown until they are read."""
        ...

    @property
    def digest(self) -> str:
        """Digest of the whole data, whatever part of it the run takes."""
        ...

    def identified(self, known: KnownIds) -> Iterable[Query]:
        """Return the queries; those without an id of their own keep the one that *known* has for them."""
        ...


@dataclass(frozen=True)
class SourceInput:
    """The queries of the data source *source*, streamed; *options* tell how it is read.

    Several sources, as a sequence, are read one after the other.
    """

    source: Spec
    options: ReadOptions = DEFAULTS

    @property
    def queries(self) -> Iterable[Query]:
        """Yield the queries; each call reads them again."""
        return load_queries(self.source, self.options)

    # Properties before cached ones: pyright does not take a cached property for a protocol's property.
    @property
    def total(self) -> int | None:
        """Number of queries; reading it checks every row of a file.

        Raises:
            DataError: a row is wrong.
        """
        return self._total

    @property
    def digest(self) -> str:
        """Digest of the source."""
        return self._digest

    @cached_property
    def _total(self) -> int | None:
        return count_queries(self.source, self.options)

    @cached_property
    def _digest(self) -> str:
        return data_digest(self.source, self.options)

    def identified(self, known: KnownIds) -> Iterable[Query]:
        """Return the queries with *known* ids; see :func:`tpo.data.load_queries`."""
        return load_queries(self.source, self.options, known_ids=known)


@dataclass(frozen=True)
class QueryInput:
    """Queries at hand: an iterable that can be iterated more than once, with what is known of it.

    *unnamed* are the positions of queries without an id of their own, which are named by position. *whole*
    are the queries with those beyond the limit; None: there is no limit.
    """

    source: Spec
    queries: Iterable[Query]
    digest: str
    total: int | None
    unnamed: Collection[int] = ()
    whole: Iterable[Query] | None = None

    def identified(self, known: KnownIds) -> Iterable[Query]:
        """Return the queries; the *unnamed* ones keep the id that *known* has for them."""
        if not self.unnamed:
            return self.queries
        whole = self.queries if self.whole is None else self.whole
        ids = IdAssignment(known, {query_digest(query) for query in whole})
        return [
            replace(query, id=ids.id_of(query, position)) if position in self.unnamed else query
            for position, query in enumerate(self.queries)
        ]


def rows_input(rows: Iterable[QueryRow], *, column: str | None = None, limit: int | None = None) -> RunInput:
    """The first *limit* of *rows* as the input of a run; ids are the rows' own, else ``q0``, ``q1``, ...

    Raises:
        DataError: there is none, a row is wrong, or two ids are alike.
        ConfigError: *limit* is below 1.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit is {limit}; it must be at least 1")
    queries = [_query(row, position, column) for position, row in enumerate(rows)]
    if not queries:
        raise DataError("data: holds no query")
    unnamed = {position for position, query in enumerate(queries) if not query.id}
    queries = [query if query.id else replace(query, id=f"q{query.position}") for query in queries]
    places: dict[str, int] = {}
    for position, query in enumerate(queries):
        if places.setdefault(query.id, position) != position:
            raise DataError(
                f"data[{position}]: query ids must be unique; {query.id!r} is also that of"
                f" data[{places[query.id]}]"
            )
    digest = _digest(queries)
    chosen = tuple(islice(queries, limit))
    name = f"queries-{digest.removeprefix('sha256:')[:8]}"
    return QueryInput(name, chosen, digest, len(chosen), unnamed, queries)


def as_input(data: Data, options: ReadOptions = DEFAULTS) -> RunInput:
    """Return *data* as the input of a run: a path or the name of a data set, several paths, or rows.

    Raises:
        DataError: it is none of these, or a row is wrong.
    """
    if isinstance(data, str | Path):
        return SourceInput(str(data), options)
    if isinstance(data, Mapping | bytes) or not isinstance(data, Iterable):
        hint = ": put a single row into a list" if isinstance(data, Mapping) else ""
        wanted = "data must be a path, the name of a data set or a list of queries"
        raise DataError(f"{wanted}, not {data!r:.200}{hint}")
    if isinstance(data, Sequence) and data and all(isinstance(one, Path) for one in data):
        return SourceInput(tuple(map(str, data)), options)
    return rows_input(cast("Iterable[QueryRow]", data), column=options.column, limit=options.limit)


def missing_column(
    columns: Mapping[str, Mapping[str, bool]], queries: Iterable[Query], source: Spec
) -> str | None:
    """Return a sentence about a column that a reward needs and no row has; None if there is none.

    *columns* are those of each reward, by its name; *queries*, those of *source*, are read until each needed
    column was found.
    """
    left = {column: name for name, each in columns.items() for column in each if each[column]}
    there: set[str] = set()
    for query in queries if left else ():
        there |= query.metadata.keys()
        left = {column: name for column, name in left.items() if query.metadata.get(column) is None}
        if not left:
            break
    if not left:
        return None
    column = min(left)
    has = f"has {', '.join(sorted(there))}" if there else "has none beside the prompt"
    return (
        f"{left[column]} reads the column {column!r} of the data, and no row of {named(source)} has it; the"
        f" data {has}"
    )


def _query(row: QueryRow, position: int, column: str | None) -> Query:
    if not isinstance(row, Query):
        row = to_query(Row(f"data[{position}]", row), "", ReadOptions(column=column))
    return replace(row, position=position)


def _digest(queries: Iterable[Query]) -> str:
    digest = hashlib.sha256()
    for query in queries:
        row = [query.id, query.messages, query.reference, dict(query.metadata)]
        digest.update(json.dumps(row, sort_keys=True, default=str).encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"
