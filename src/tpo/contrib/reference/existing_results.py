"""Results of earlier runs in a result file, by the reference itself or by this package."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from tpo.data.json_source import JsonSource
from tpo.data.text import TextFile
from tpo.errors import DataError
from tpo.export.reference import SEPARATOR

FIRST = "INDEX"


def earlier_results(path: Path) -> Iterator[dict[str, float]]:
    """The objects in the result file *path*, one at a time; none where there is no file, or an empty one.

    Raises:
        DataError: it is no result file.
    """
    if not path.exists():
        return
    for row in JsonSource(TextFile(path)).rows():
        if not isinstance(row.value, dict) or not all(key.startswith(FIRST) for key in row.value):
            raise DataError(f"{row.place}: this is not a result file; move it away")
        yield row.value


def answered(path: Path, queries: Collection[str]) -> set[str]:
    """Those of the texts *queries* that have results in the file *path*."""
    found = (query_of(result, queries) for result in earlier_results(path))
    return {query for query in found if query is not None}


def query_of(result: dict[str, float], queries: Collection[str]) -> str | None:
    """The one of *queries* that the keys of *result* are about, or None.

    A key joins its parts by a separator that may stand in any of them, so the parts are not cut out but
    recognized: the longest query that every key holds.
    """
    bodies = [key.partition(SEPARATOR)[2] for key in result]
    if not bodies:
        return None
    end = len(bodies[0])
    while (end := bodies[0].rfind(SEPARATOR, 0, end)) >= 0:
        query = bodies[0][:end]
        if query in queries and all(body.startswith(query + SEPARATOR) for body in bodies):
            return query
    return None
