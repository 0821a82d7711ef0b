"""Digest of a query's content: tells a resumed run that a row has changed."""

from __future__ import annotations

from tpo.store.journal import request_hash
from tpo.store.jsonline import plain
from tpo.types import Query


def query_digest(query: Query) -> str:
    """Return a digest of the messages and the reference of *query*; its id and its position do not count."""
    return request_hash(plain(query.messages), query.reference)
