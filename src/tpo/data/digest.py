"""Digests of queries, and stable ids for queries that come again."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence

from tpo.data.conversation import plain_value
from tpo.types import Query


def query_digest(query: Query) -> str:
    """Return ``sha256:`` and the hash of the messages and the reference of *query*.

    Id, position, metadata, file format and compression do not change it: the same row in another place or
    another file has the same digest, as has a query that was read back from a run.
    """
    content = [plain_value(query.messages), query.reference]
    # ASCII, so that half of a surrogate pair has a digest, too.
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode('ascii')).hexdigest()}"


def ids_by_digest(queries: Iterable[Query]) -> dict[str, tuple[str, ...]]:
    """Return the ids of *queries* by their digests; queries of equal content have several, in order."""
    ids: dict[str, list[str]] = defaultdict(list)
    for query in queries:
        ids[query_digest(query)].append(query.id)
    return {digest: tuple(of) for digest, of in ids.items()}


class IdAssignment:
    """Ids for rows without one: ``q`` and the position, or the id that the same content had before.

    Args:
        known: ids of an earlier pass by digest (:func:`ids_by_digest`). A query among them keeps its id
            wherever it now stands; a new query gets an id that none of them has.
        present: digests of all queries of this pass. A new query at the position of one that is not among
            them replaces it and takes its id. None: all of *known* are present.
    """

    def __init__(
        self, known: Mapping[str, Sequence[str]] | None = None, present: Container[str] | None = None
    ) -> None:
        self._left = {digest: list(ids) for digest, ids in (known or {}).items()}
        self._taken = {name for ids in self._left.values() for name in ids}
        gone = {} if present is None else {d: ids for d, ids in self._left.items() if d not in present}
        self._gone = {name for ids in gone.values() for name in ids}
        self._next = 1 + max((_number(name) for name in self._taken), default=-1)

    def id_of(self, query: Query, position: int) -> str:
        """Return the id of *query*, which stands at *position* and has none of its own."""
        name = f"q{position}"
        if not self._taken:
            return name
        if ids := self._left.get(query_digest(query)):
            return ids.pop(ids.index(name) if name in ids else 0)
        if name in self._gone:
            return name
        if name in self._taken:
            name = f"q{self._next}"
            self._next += 1
        self._taken.add(name)
        return name


def _number(name: str) -> int:
    digits = name.removeprefix("q")
    return int(digits) if name.startswith("q") and digits.isascii() and digits.isdigit() else -1
