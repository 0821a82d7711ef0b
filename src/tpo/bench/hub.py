"""Where a benchmark's data is published, read from the hub or its cache as rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hub:
    """A data set of the Hugging Face hub.

    Either a *split* (of a *config*), read by the ``datasets`` library, or one *file* of the repository, taken
    as it is, for sets that keep their rows in files of their own or behind a script that no longer loads.
    """

    name: str
    split: str = "test"
    config: str | None = None
    file: str | None = None
    revision: str = "main"
