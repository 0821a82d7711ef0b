"""A row of a data source and the protocol that every format implements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tpo.errors import DataError

MAX_ROW = 32 * 1024 * 1024
"""Characters of one row. A longer one is refused before it is read whole, so that memory stays bounded."""

MAX_COLUMNS = 10_000
"""Columns of one row. A file with more is most likely transposed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A JSON-like *value*; *place* is ``FILE:LINE`` or ``FILE: row N``, as error messages name it."""

    place: str
    value: object


OnInvalid = Callable[[DataError], None]
"""Called with the error of a row that cannot be read; the row is skipped if it returns."""


def raise_invalid(error: DataError) -> None:
    """Raise *error*: the default for invalid rows."""
    raise error


def too_many_columns(place: object, count: int) -> DataError:
    """Return the error for a header or a row of *count* columns."""
    return DataError(
        f"{place}: {count:,} columns; at most {MAX_COLUMNS:,} are read. Is the table transposed?"
    )


class Source(Protocol):
    """A sequence of rows that can be streamed more than once."""

    def rows(self, on_invalid: OnInvalid = raise_invalid) -> Iterator[Row]:
        """Stream the rows in order, from the start each time.

        Raises:
            DataError: the source cannot be read, or *on_invalid* raised the error of an invalid row.
        """
        ...

    def digest(self) -> str:
        """Return a hash of the content; compression does not change it."""
        ...

    def known_size(self) -> int | None:
        """Return the number of rows where it is known without reading them."""
        ...
