"""A benchmark's rows become the queries that are asked, with what a repetition must know of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tpo.data.conversation import plain_value
from tpo.data.load import open_source
from tpo.data.row import Row
from tpo.errors import ConfigError, DataError
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.choose import limited
from tpo.types import Query


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a benchmark.

    Attributes:
        queries: in the published order.
        source: the file, or the data set's name with its revision.
        digest: ``sha256:`` of all rows, whatever format they came in.
        rows: how many the source holds.
        is_whole: whether these are all that the benchmark asks, of a source of the published size.
        baselines: the opponent's answers by the ids of queries.
        opponent: who wrote them, by their own file; empty: the benchmark has no opponent.
        notes: what is not as published, in words.
    """

    queries: tuple[Query, ...]
    source: str
    digest: str
    rows: int
    is_whole: bool
    baselines: Mapping[str, str] = field(default_factory=dict)
    opponent: str = ""
    notes: tuple[str, ...] = ()


def ask(
    benchmark: Benchmark,
    data: str | None = None,
    *,
    limit: int | None = None,
    baseline: str | None = None,
    cache: Path | None = None,
) -> Asked:
    """The queries of *benchmark*, of the file *data* in the published schema, else from the hub.

    Raises:
        DataError: the data cannot be read, a row is wrong (its file and line are named), two ids are alike,
            or a query has no baseline.
        ConfigError: *limit* is below 1, or *baseline* is given where there is no opponent.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit is {limit}; it must be at least 1")
    rows = list(benchmark.hub.rows(cache) if data is None else open_source(data).rows())
    source = benchmark.hub.spec if data is None else data
    positions = range(len(rows)) if benchmark.pick is None else benchmark.pick(len(rows))
    queries = [benchmark.read(rows[position], position) for position in positions]
    if not queries:
        raise DataError(f"{source}: holds no row")
    _require_different(queries, [rows[position].place for position in positions])
    chosen = limited(queries, limit, benchmark.stratum)
    notes = _notes(benchmark, len(rows), len(queries), len(chosen))
    opponents = _opponent_rows(benchmark, baseline, rows, cache)
    baselines = _answers(benchmark, opponents)
    _require_baselines(benchmark, chosen, baselines)
    opponent = _writer(benchmark, opponents)
    return Asked(chosen, source, digest(rows), len(rows), not notes, baselines, opponent, notes)


def digest(rows: Sequence[Row]) -> str:
    """``sha256:`` of *rows* as sorted JSON, one a line: the same for the same rows in any format."""
    whole = hashlib.sha256()
    for row in rows:
        whole.update(json.dumps(plain_value(row.value), sort_keys=True).encode() + b"\n")
    return f"sha256:{whole.hexdigest()}"


def _notes(benchmark: Benchmark, rows: int, available: int, chosen: int) -> tuple[str, ...]:
    notes = []
    published = benchmark.published_rows or benchmark.size
    if rows != published:
        notes.append(f"the data has {rows:,} rows; the published set has {published:,}")
    if chosen < available:
        by = f", stratified by {benchmark.stratum}" if benchmark.stratum else ""
        notes.append(f"{chosen:,} of {available:,} queries were asked{by}")
    return tuple(notes)


def _require_different(queries: Sequence[Query], places: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for query, place in zip(queries, places, strict=True):
        if query.id in seen:
            raise DataError(f"{place}: the id {query.id!r} was given before, at {seen[query.id]}")
        seen[query.id] = place


def _opponent_rows(
    benchmark: Benchmark, file: str | None, rows: Sequence[Row], cache: Path | None
) -> Sequence[Row]:
    """Return the rows that hold the opponent's answers; none where there is no opponent."""
    opponent = benchmark.baseline
    if opponent is None:
        if file is not None:
            raise ConfigError(f"--baseline: {benchmark.name} holds answers against nobody's; leave it out")
        return ()
    if file is None and opponent.hub == benchmark.hub:
        return rows
    return list(open_source(file).rows() if file is not None else opponent.hub.rows(cache))


def _answers(benchmark: Benchmark, rows: Sequence[Row]) -> Mapping[str, str]:
    if benchmark.baseline is None:
        return {}
    return dict(benchmark.baseline.read(row, position) for position, row in enumerate(rows))


def _writer(benchmark: Benchmark, rows: Sequence[Row]) -> str:
    """Return who wrote the opponent's answers, as their rows name them; else the published writer."""
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
            f"{benchmark.name}: {len(missing):,} queries have no answer of {benchmark.baseline.writer} to be"
            f" held against: {shown}; give the whole file of its answers with --baseline FILE"
        )
