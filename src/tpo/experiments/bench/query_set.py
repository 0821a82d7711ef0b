"""Query set of a benchmark: queries from its rows, baselines, and what is needed to repeat the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tpo.data.conversation import plain_value
from tpo.data.hub import HubSource
from tpo.data.load import open_source
from tpo.data.row import Row
from tpo.errors import ConfigError, DataError
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.subset import stratified_subset
from tpo.types import Query


@dataclass(frozen=True, slots=True)
class QuerySet:
    """Queries of a benchmark.

    Attributes:
        queries: the queries in published order.
        source: the file, or the data set's name with its revision.
        digest: ``sha256:`` digest of all rows, independent of the file format.
        rows: number of rows of the source.
        is_whole: the queries are all queries of the benchmark, from a source of the published size.
        baselines: the opponent's answers by query id.
        opponent: author of the baselines as named in their file; empty: the benchmark has no opponent.
        notes: deviations from the published set, as sentences.
    """

    queries: tuple[Query, ...]
    source: str
    digest: str
    rows: int
    is_whole: bool
    baselines: Mapping[str, str] = field(default_factory=dict)
    opponent: str = ""
    notes: tuple[str, ...] = ()


def load_query_set(
    benchmark: Benchmark,
    data: str | None = None,
    *,
    limit: int | None = None,
    baseline: str | None = None,
    cache: Path | None = None,
) -> QuerySet:
    """Load the queries of *benchmark* from the file *data* in the published schema, or else from the hub.

    Raises:
        DataError: the data cannot be read, a row is wrong (the error names file and line), an id is repeated,
            or a query has no baseline.
        ConfigError: *limit* is below 1, or *baseline* is given for a benchmark without an opponent.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit is {limit}; it must be at least 1")
    rows = list(published_rows(benchmark.hub, cache) if data is None else open_source(data).rows())
    source = benchmark.hub.spec if data is None else data
    positions = range(len(rows)) if benchmark.pick is None else benchmark.pick(len(rows))
    queries = [benchmark.read(rows[position], position) for position in positions]
    if not queries:
        raise DataError(f"{source}: contains no row")
    _require_unique_ids(queries, [rows[position].place for position in positions])
    chosen = stratified_subset(queries, limit, benchmark.stratum)
    notes = _notes(benchmark, len(rows), len(queries), len(chosen))
    opponents = _opponent_rows(benchmark, baseline, rows, cache)
    baselines = _answers(benchmark, opponents)
    _require_baselines(benchmark, chosen, baselines)
    opponent = _writer(benchmark, opponents)
    return QuerySet(chosen, source, rows_digest(rows), len(rows), not notes, baselines, opponent, notes)


def published_rows(hub: HubSource, cache: Path | None) -> Iterator[Row]:
    """Yield the rows of *hub*.

    Raises:
        DataError: they cannot be loaded.
    """
    try:
        rows = hub.whole_rows(cache) if hub.file is None else open_source(str(hub.download(cache))).rows()
        yield from rows
    except DataError as error:
        raise DataError(
            f"{error}. Without internet access, give a file with the same rows with --data FILE; for a gated"
            " data set, accept its terms on the hub"
        ) from error


def rows_digest(rows: Sequence[Row]) -> str:
    """Return ``sha256:`` of *rows* as sorted JSON lines, which does not depend on the file format."""
    total = hashlib.sha256()
    for row in rows:
        total.update(json.dumps(plain_value(row.value), sort_keys=True).encode() + b"\n")
    return f"sha256:{total.hexdigest()}"


def _notes(benchmark: Benchmark, rows: int, available: int, chosen: int) -> tuple[str, ...]:
    notes = []
    published = benchmark.published_rows or benchmark.size
    if rows != published:
        notes.append(f"the data has {rows:,} rows; the published set has {published:,}")
    if chosen < available:
        by = f", stratified by {benchmark.stratum}" if benchmark.stratum else ""
        notes.append(f"{chosen:,} of {available:,} queries were used{by}")
    return tuple(notes)


def _require_unique_ids(queries: Sequence[Query], places: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for query, place in zip(queries, places, strict=True):
        if query.id in seen:
            raise DataError(f"{place}: ids must be unique; {query.id!r} already occurs at {seen[query.id]}")
        seen[query.id] = place


def _opponent_rows(
    benchmark: Benchmark, file: str | None, rows: Sequence[Row], cache: Path | None
) -> Sequence[Row]:
    """Return the rows with the opponent's answers; none if there is no opponent."""
    opponent = benchmark.baseline
    if opponent is None:
        if file is not None:
            raise ConfigError(
                f"--baseline: {benchmark.name} compares answers with no opponent; remove --baseline"
            )
        return ()
    if file is None and opponent.hub == benchmark.hub:
        return rows
    return list(open_source(file).rows() if file is not None else published_rows(opponent.hub, cache))


def _answers(benchmark: Benchmark, rows: Sequence[Row]) -> Mapping[str, str]:
    if benchmark.baseline is None:
        return {}
    return dict(benchmark.baseline.read(row, position) for position, row in enumerate(rows))


def _writer(benchmark: Benchmark, rows: Sequence[Row]) -> str:
    """Return the author of the opponent's answers as named in their rows, or else the published author."""
    if benchmark.baseline is None:
        return ""
    name = benchmark.baseline.writer_column
    values = [row.value.get(name) for row in rows if isinstance(row.value, Mapping)] if name else []
    named = sorted({value for value in values if isinstance(value, str) and value.strip()})
    return " and ".join(named) or benchmark.baseline.writer


def _require_baselines(benchmark: Benchmark, queries: Sequence[Query], there: Mapping[str, str]) -> None:
    if benchmark.baseline is None:
        return
    missing = [query.id for query in queries if query.id not in there]
    if missing:
        shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise DataError(
            f"{benchmark.name}: {len(missing):,} queries have no answer of {benchmark.baseline.writer} to"
            f" compare with: {shown}; give the complete file of its answers with --baseline FILE"
        )
