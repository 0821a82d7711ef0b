"""Telling a lack of memory from other failures, on any device."""

from __future__ import annotations


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether *error* says that memory ran out."""
    words = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "out of memory" in words
        or "can't allocate memory" in words
    )


def first_line(error: BaseException) -> str:
    """Return the text of *error* in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
