"""Hugging Face data sets, from the hub, its cache, or a folder; read as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tpo.data.row import OnInvalid, Row, raise_invalid
from tpo.errors import DataError, MissingExtra

SAVED = ("state.json", "dataset_dict.json")
"""Files that mark a directory written by ``save_to_disk``."""


@dataclass(frozen=True, slots=True)
class HubSource:
    """A data set by name or folder; *config*, *split* and *revision* choose among several.

    A *file* of its repository is instead named for files in a format of their own, or beside a loading script
    that no longer works; see :meth:`download`.
    """

    name: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    file: str | None = None

    @classmethod
    def parse(cls, spec: str) -> HubSource:
        """Parse ``hf:NAME``, ``hf:NAME:SPLIT`` or ``hf:NAME:CONFIG:SPLIT``; NAME may be ``NAME@REVISION``.

        An empty part is left open.

        Raises:
            DataError: it has another shape.
        """
        name, *rest = spec.removeprefix("hf:").split(":")
        name, _, revision = name.partition("@")
        if not name or len(rest) > 2:
            raise DataError(f"{spec}: write hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT")
        config, split = rest if len(rest) == 2 else (None, *rest, None)[:2]
        return cls(name, config or None, split or None, revision or None)

    @property
    def spec(self) -> str:
        """The data set as it is written on the command line."""
        if self.file is not None:
            parts: tuple[str | None, ...] = (self.file,)
        else:
            parts = (self.config, self.split or "") if self.config else (self.split,) if self.split else ()
        name = f"{self.name}@{self.revision}" if self.revision else self.name
        return ":".join(("hf", name, *(part or "" for part in parts)))

    def rows(self, on_invalid: OnInvalid = raise_invalid) -> Iterator[Row]:
        """Yield each row as an object, streaming."""
        del on_invalid  # a row of a data set cannot be invalid by itself
        with self._errors():
            for number, value in enumerate(self._stream(), 1):
                yield Row(f"{self.spec}: row {number}", value)

    def whole_rows(self, cache: Path | None = None) -> Iterator[Row]:
        """Yield each row of a whole download; *cache* is its folder, None: the library's default.

        Downloaded data is read again without a network if ``HF_HUB_OFFLINE=1`` is set.

        Raises:
            DataError: the data cannot be loaded; the error says what to do.
            MissingExtra: the ``datasets`` library is not installed.
        """
        with self._errors():
            values = self._library().load_dataset(
                *(self.name, self.config), split=self.split, revision=self.revision, cache_dir=_path(cache)
            )
            if self.split is None:
                values = self._one_split(values)
            for number, value in enumerate(values, 1):
                yield Row(f"{self.spec}: row {number}", value)

    def download(self, cache: Path | None = None) -> Path:
        """Return the path of *file*, downloaded to the folder *cache* unless it is there.

        Raises:
            DataError: the file cannot be loaded; the error says what to do.
            MissingExtra: the ``huggingface_hub`` library is not installed.
        """
        if self.file is None:
            raise ValueError(f"{self.spec} names no file")
        if Path(self.name).is_dir():
            return Path(self.name) / self.file
        with self._errors():
            found = self._library("huggingface_hub").hf_hub_download(
                *(self.name, self.file), repo_type="dataset", revision=self.revision, cache_dir=_path(cache)
            )
        return Path(found)

    def digest(self) -> str:
        """Return the name, the split, and the fingerprint that the library keeps of the content."""
        with self._errors():
            if self._is_saved:
                return f"{self.spec}@{self._stream()._fingerprint}"
            library = self._library()
            builder = library.load_dataset_builder(self.name, self.config, revision=self.revision)
            return f"{self.spec}@{builder.hash}"

    def known_size(self) -> int | None:
        """Return what the data set's own card declares for the split, or None."""
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
            found = library.load_dataset(self.name, self.config, streaming=True, revision=self.revision)
        return self._one_split(found)

    def _one_split(self, found: Any) -> Any:
        """Return the split asked for, or the only one there is."""
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
            raise DataError(f"{self.spec}: {_load_failure(error, self.name)}") from error

    def _library(self, name: str = "datasets") -> Any:
        try:
            return import_module(name)
        except ImportError as error:
            raise MissingExtra("datasets", "data", f"reading {self.spec}") from error


def _path(folder: Path | None) -> str | None:
    return None if folder is None else str(folder)


def _load_failure(error: Exception, name: str) -> str:
    """Return what went wrong when the data set *name* was loaded, and what to do about it."""
    said = " ".join(str(error).split())[:300].rstrip(".")
    return f"cannot be loaded: {type(error).__name__}: {said}. {_advice(error, name)}"


def _advice(error: Exception, name: str) -> str:
    kinds, said = [cls.__name__ for cls in type(error).__mro__], str(error)
    if "scripts are no longer supported" in said:
        return (
            "It is built by a Python script, which the datasets library does not run. Take the hub's own "
            f"copy in Parquet, hf:{name}@refs/convert/parquet:SPLIT, or download its files and name one"
        )
    if "Config name is missing" in said or "BuilderConfig" in said:
        return f"Name one of its configurations: hf:{name}:CONFIG:SPLIT"
    if Path(name).exists():
        return "A folder must hold data files (.jsonl, .csv, .parquet) or be written by save_to_disk"
    if "ConnectionError" in kinds or "OfflineModeIsEnabled" in kinds or "Timeout" in "".join(kinds):
        return (
            "The hub cannot be reached: check the network, set HF_HUB_OFFLINE=1 to read a cached copy, or "
            "name a file"
        )
    return "Check the name, and for a private or gated data set, that HF_TOKEN is set"
