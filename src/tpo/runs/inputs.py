"""The queries of a run with their total and digest: from a data source by name, or in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from tpo.data import ReadOptions, count_queries, data_digest, load_queries
from tpo.data.options import DEFAULTS
from tpo.data.row import Row
from tpo.data.to_query import to_query
from tpo.errors import ConfigError, DataError
from tpo.types import Query

QueryRow = str | Mapping[str, Any] | Query
"""A query as Python callers write it: a prompt, a row as in a JSON file, or a :class:`Query`."""


class RunInput(Protocol):
    """The queries of a run."""

    @property
    def source(self) -> str:
        """Name of the data for the record."""
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


@dataclass(frozen=True)
class SourceInput:
    """The queries of the data source *source*, streamed; *options* tell how it is read."""

    source: str
    options: ReadOptions = DEFAULTS

    @property
    def queries(self) -> Iterable[Query]:
        """Yield the queries; each call reads them again."""
        return load_queries(self.source, self.options)

    @cached_property
    def total(self) -> int | None:
        """Number of queries; reading it checks every row of a file.

        Raises:
            DataError: a row is wrong.
        """
        return count_queries(self.source, self.options)

    @cached_property
    def digest(self) -> str:
        """Digest of the source."""
        return data_digest(self.source, self.options)


@dataclass(frozen=True)
class QueryInput:
    """Queries at hand: an iterable that can be iterated more than once, with what is known of it."""

    source: str
    queries: Iterable[Query]
    digest: str
    total: int | None


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
    places: dict[str, int] = {}
    for position, query in enumerate(queries):
        if places.setdefault(query.id, position) != position:
            raise DataError(
                f"data[{position}]: query ids must be unique; {query.id!r} is also that of"
                f" data[{places[query.id]}]"
            )
    digest = _digest(queries)
    chosen = tuple(islice(queries, limit))
    return QueryInput(f"queries-{digest.removeprefix('sha256:')[:8]}", chosen, digest, len(chosen))


def as_input(data: str | Path | Iterable[QueryRow], options: ReadOptions = DEFAULTS) -> RunInput:
    """Return *data* as the input of a run: a path or the name of a data set, or rows in memory."""
    if isinstance(data, str | Path):
        return SourceInput(str(data), options)
    return rows_input(data, column=options.column, limit=options.limit)


def _query(row: QueryRow, position: int, column: str | None) -> Query:
    if not isinstance(row, Query):
        row = to_query(Row(f"data[{position}]", row), f"q{position}", ReadOptions(column=column))
    return replace(row, position=position)


def _digest(queries: Iterable[Query]) -> str:
    digest = hashlib.sha256()
    for query in queries:
        row = [query.id, query.messages, query.reference, dict(query.metadata)]
        digest.update(json.dumps(row, sort_keys=True, default=str).encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"
