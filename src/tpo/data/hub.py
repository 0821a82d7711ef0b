"""Hugging Face data sets, from the hub, its cache, or a folder; read as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.data.row import Row
from tpo.errors import DataError, MissingExtra

SAVED = ("state.json", "dataset_dict.json")
"""What marks a folder that ``save_to_disk`` has written."""


@dataclass(frozen=True, slots=True)
class HubSource:
    """A data set by name or folder, its *config* and its *split*, where it has several."""

    name: str
    config: str | None = None
    split: str | None = None

    @classmethod
    def parse(cls, spec: str) -> HubSource:
        """Read ``hf:NAME``, ``hf:NAME:SPLIT`` or ``hf:NAME:CONFIG:SPLIT``; an empty part is left open.

        Raises:
            DataError: it has another shape.
        """
        name, *rest = spec.removeprefix("hf:").split(":")
        if not name or len(rest) > 2:
            raise DataError(f"{spec}: write hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT")
        config, split = rest if len(rest) == 2 else (None, *rest, None)[:2]
        return cls(name, config or None, split or None)

    @property
    def spec(self) -> str:
        """As it is written on the command line."""
        parts = (self.config or "", self.split or "") if self.config else (self.split,) if self.split else ()
        return ":".join(("hf", self.name, *parts))

    def rows(self) -> Iterator[Row]:
        """Each row as an object, streaming."""
        with self._errors():
            for number, value in enumerate(self._stream(), 1):
                yield Row(f"{self.spec}: row {number}", value)

    def digest(self) -> str:
        """The name, the split, and the fingerprint that the library keeps of the content."""
        with self._errors():
            if self._is_saved:
                return f"{self.spec}@{self._stream()._fingerprint}"
            return f"{self.spec}@{self._library().load_dataset_builder(self.name, self.config).hash}"

    def known_size(self) -> int | None:
        """What the data set's own card says of the split, or None."""
        with self._errors():
            rows = self._stream()
            if self._is_saved:
                return int(rows.num_rows)
            known = (rows.info.splits or {}).get(str(rows.split))
            return known.num_examples or None if known else None

    @property
    def _is_saved(self) -> bool:
        return any((Path(self.name) / mark).is_file() for mark in SAVED)

    def _stream(self) -> Any:
        library = self._library()
        if self._is_saved:
            found = library.load_from_disk(self.name)
        else:
            found = library.load_dataset(self.name, self.config, streaming=True)
        return self._one_split(found)

    def _one_split(self, found: Any) -> Any:
        """The split asked for, or the only one there is."""
        if not isinstance(found, dict):
            if self.split not in (None, str(found.split)):
                raise DataError(f"{self.spec}: this folder holds one split, {found.split}")
            return found
        if self.split is None and len(found) == 1:
            return next(iter(found.values()))
        if self.split not in found:
            asked = f"no split {self.split!r}" if self.split else "has several splits"
            raise DataError(
                f"{self.spec}: {asked}; write hf:{self.name}:SPLIT with one of {', '.join(map(str, found))}"
            )
        return found[self.split]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (DataError, MissingExtra):
            raise
        except Exception as error:  # the library lets through what its many readers and HTTP raise
            raise DataError(
                f"{self.spec}: cannot be loaded: {type(error).__name__}: {_brief(error)}. Check the name, "
                "and for a private data set, that HF_TOKEN is set"
            ) from error

    def _library(self) -> Any:
        try:
            import datasets
        except ImportError as error:
            raise MissingExtra("datasets", "data", f"reading {self.spec}") from error
        return datasets


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")
