"""Columns of published rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tpo.data.row import Row
from tpo.errors import DataError


def as_record(row: Row) -> Mapping[str, Any]:
    """Return the columns of *row*.

    Raises:
        DataError: the row is not an object.
    """
    if not isinstance(row.value, Mapping):
        raise DataError(f"{row.place}: a row must be an object, not {type(row.value).__name__}")
    return row.value


def column(row: Row, name: str, *, blank: bool = False) -> str:
    """Return the text in the column *name* unchanged; it may be empty only if *blank* is true.

    Raises:
        DataError: there is no such column, or it contains no text.
    """
    values = as_record(row)
    if name not in values:
        columns = ", ".join(repr(str(key)[:40]) for key in list(values)[:20]) or "none"
        raise DataError(f"{row.place}: there is no column {name!r}; columns: {columns}")
    value = values[name]
    if not isinstance(value, str):
        raise DataError(f"{row.place}: {name!r} must be a text, not {type(value).__name__}")
    if not blank and not value.strip():
        raise DataError(f"{row.place}: {name!r} is empty")
    return value
