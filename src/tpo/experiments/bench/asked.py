"""A benchmark's rows become the queries that are asked, with what a repetition must know of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tpo.data.conversation import plain_value
from tpo.data.load import open_source
from tpo.data.row import Row
from tpo.errors import ConfigError, DataError
from tpo.experiments.bench.benchmark import Baseline, Benchmark
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
        notes: what is not as published, in words.
    """

    queries: tuple[Query, ...]
    source: str
    digest: str
    rows: int
    is_whole: bool
    baselines: Mapping[str, str] = field(default_factory=dict)
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
    baselines = _baselines(benchmark, baseline, rows, cache)
    _require_baselines(benchmark, chosen, baselines)
    return Asked(chosen, source, digest(rows), len(rows), not notes, baselines, notes)


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


def _baselines(
    benchmark: Benchmark, file: str | None, rows: Sequence[Row], cache: Path | None
) -> Mapping[str, str]:
    opponent = benchmark.baseline
    if opponent is None:
        if file is not None:
            raise ConfigError(f"--baseline: {benchmark.name} holds answers against nobody's; leave it out")
        return {}
    if file is None and opponent.hub == benchmark.hub:
        return _answers(opponent, rows)
    return _answers(opponent, open_source(file).rows() if file is not None else opponent.hub.rows(cache))


def _answers(opponent: Baseline, rows: Iterable[Row]) -> Mapping[str, str]:
    return dict(opponent.read(row, position) for position, row in enumerate(rows))


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
