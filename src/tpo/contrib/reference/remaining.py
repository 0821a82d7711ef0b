"""Remaining work: the queries in the order of their file, without those that have results already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tpo.contrib.reference.existing_results import answered
from tpo.contrib.reference.files import Files
from tpo.data import load_queries
from tpo.types import Query


@dataclass(frozen=True, slots=True)
class Work:
    """The queries of *data* by their place in it; those in *carried* have results from elsewhere."""

    data: str
    order: Mapping[str, int]
    carried: AbstractSet[str]

    @property
    def total(self) -> int:
        """Number of queries of this run."""
        return len(self.order) - len(self.carried)

    def __iter__(self) -> Iterator[Query]:
        """Stream them, from the start each time."""
        return (query for query in load_queries(self.data) if query.id not in self.carried)


def read_work(data: str, files: Files) -> Work:
    """Check all of *data*, keep the results that are there already, and see what they leave to do.

    Raises:
        DataError: the data are wrong, or the result file that is there is none.
        StoreError: it cannot be kept.
    """
    order = {query.id: place for place, query in enumerate(load_queries(data))}
    files.carry()
    if not files.carried.exists():
        return Work(data, order, frozenset())
    done = answered(files.carried, {query.text for query in load_queries(data)})
    return Work(data, order, {query.id for query in load_queries(data) if query.text in done})
