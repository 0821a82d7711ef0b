"""Rows of RewardBench 2: a prompt with chosen and rejected responses, and the published sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from tpo.data.hub import HubSource
from tpo.data.load import open_source
from tpo.data.row import Row
from tpo.errors import ConfigError, DataError
from tpo.experiments.bench.columns import as_record, column
from tpo.experiments.bench.query_set import published_rows, rows_digest
from tpo.experiments.bench.subset import stratified_subset
from tpo.types import Query, user

HUB = HubSource("allenai/reward-bench-2", split="test")
SIZES = {"Factuality": 475, "Precise IF": 160, "Math": 183, "Safety": 450, "Focus": 495, "Ties": 102}
"""Rows of each published subset; 1,865 in all."""

_TIE_ID = re.compile(r"(ref|tied):(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RewardRow:
    """A prompt with responses to score.

    Attributes:
        query: the prompt; its id is unique, its metadata has the subset.
        subset: name of the subset.
        chosen, rejected: right and wrong responses.
        tie: kind (``ref``: one right response, ``tied``: several) and prompt number of a row of the subset
            Ties; None elsewhere.
    """

    query: Query
    subset: str
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    tie: tuple[str, int] | None = None

    @property
    def responses(self) -> tuple[str, ...]:
        """All responses, the right ones first."""
        return (*self.chosen, *self.rejected)


@dataclass(frozen=True, slots=True)
class RewardRows:
    """The rows of a run with their source, digest and notes on deviations from the published set."""

    rows: tuple[RewardRow, ...]
    source: str
    digest: str
    notes: tuple[str, ...] = ()


def load_rows(data: str | None = None, *, limit: int | None = None) -> RewardRows:
    """Load the rows from the file *data* in the published schema, or else from the hub.

    *limit* takes about that many rows, spread over the subsets; both rows of a prompt of Ties stay together.

    Raises:
        DataError: the data cannot be read, a row is wrong, or an id is repeated.
        ConfigError: *limit* is below 1.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit is {limit}; it must be at least 1")
    raw = list(published_rows(HUB, None) if data is None else open_source(data).rows())
    source = HUB.spec if data is None else data
    rows = [_read(row) for row in raw]
    if not rows:
        raise DataError(f"{source}: contains no row")
    _require_unique_ids(rows, raw)
    chosen = _limited(rows, limit)
    return RewardRows(chosen, source, rows_digest(raw), _notes(rows, chosen))


def _read(row: Row) -> RewardRow:
    subset, id_ = column(row, "subset"), _id(row)
    chosen, rejected = _responses(row, "chosen"), _responses(row, "rejected")
    tie = None
    if subset.lower() == "ties":
        found = _TIE_ID.fullmatch(id_)
        if found is None:
            raise DataError(f"{row.place}: an id of Ties must be ref:N or tied:N, not {id_!r}")
        tie = found[1], int(found[2])
    _check_counts(row, subset, tie, len(chosen))
    query = Query(f"{subset}/{id_}", (user(column(row, "prompt")),), metadata={"subset": subset})
    return RewardRow(query, subset, chosen, rejected, tie)


def _check_counts(row: Row, subset: str, tie: tuple[str, int] | None, chosen: int) -> None:
    if tie is not None and tie[0] == "tied":
        if chosen < 2:
            raise DataError(f"{row.place}: a tied row must have at least two chosen responses, not {chosen}")
    elif chosen != 1:
        raise DataError(f"{row.place}: a row of {subset} must have one chosen response, not {chosen}")


def _id(row: Row) -> str:
    value = as_record(row).get("id")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else column(row, "id")


def _responses(row: Row, name: str) -> tuple[str, ...]:
    found = as_record(row).get(name)
    if not isinstance(found, Sequence) or isinstance(found, str) or not found:
        raise DataError(f"{row.place}: {name!r} must be a list of responses with at least one")
    if not all(isinstance(text, str) for text in found):
        raise DataError(f"{row.place}: every response in {name!r} must be a text")
    return tuple(found)


def _require_unique_ids(rows: Sequence[RewardRow], raw: Sequence[Row]) -> None:
    seen: dict[str, str] = {}
    for row, source in zip(rows, raw, strict=True):
        if row.query.id in seen:
            raise DataError(
                f"{source.place}: ids must be unique in a subset;"
                f" {row.query.id!r} already occurs at {seen[row.query.id]}"
            )
        seen[row.query.id] = source.place


def _limited(rows: Sequence[RewardRow], limit: int | None) -> tuple[RewardRow, ...]:
    """Return about *limit* of *rows* in order, spread over the subsets in proportion to their sizes."""
    if limit is None or limit >= len(rows):
        return tuple(rows)
    queries = [row.query if row.tie is None else _tie_query(row) for row in rows]
    units = list({query.id: query for query in queries}.values())
    share = max(1, round(limit * len(units) / len(rows)))
    taken = {query.id for query in stratified_subset(units, share, "subset")}
    return tuple(row for row, query in zip(rows, queries, strict=True) if query.id in taken)


def _tie_query(row: RewardRow) -> Query:
    """Return one query for both rows of a prompt of Ties."""
    assert row.tie is not None  # noqa: S101 - rows of Ties only
    return Query(f"{row.subset}/{row.tie[1]}", row.query.messages, metadata=row.query.metadata)


def _notes(rows: Sequence[RewardRow], chosen: Sequence[RewardRow]) -> tuple[str, ...]:
    notes = []
    sizes = _sizes(rows)
    if sizes != SIZES:
        counts = ", ".join(f"{name} {count:,}" for name, count in sorted(sizes.items()))
        notes.append(f"not the published set, which has {sum(SIZES.values()):,} rows: {counts}")
    if len(chosen) < len(rows):
        notes.append(f"{len(chosen):,} of {len(rows):,} rows were used, spread over the subsets")
    return tuple(notes)


def _sizes(rows: Sequence[RewardRow]) -> Mapping[str, int]:
    names = sorted(row.subset for row in rows)
    return {name: len(list(group)) for name, group in groupby(names)}
