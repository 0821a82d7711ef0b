"""A value as it stands in its source, and where: what every format is read into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """A JSON-like *value*; *place* is ``FILE:LINE`` or ``FILE: row N``, as error messages name it."""

    place: str
    value: object


class Source(Protocol):
    """Something that holds rows."""

    def rows(self) -> Iterator[Row]:
        """Stream the rows in order, from the start each time.

        Raises:
            DataError: the source cannot be read, or a row is malformed.
        """
        ...

    def digest(self) -> str:
        """What changes whenever the content does."""
        ...

    def known_size(self) -> int | None:
        """How many rows there are where that is known without reading them."""
        ...
