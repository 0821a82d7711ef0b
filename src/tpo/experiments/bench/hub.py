"""Published benchmark data, read as rows from the hub or its cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.data.hub import load_failure
from tpo.data.load import open_source
from tpo.data.row import Row
from tpo.errors import DataError, MissingExtra


@dataclass(frozen=True, slots=True)
class Hub:
    """A data set of the Hugging Face hub, or a folder that holds a copy of its repository.

    Either a *split* (of a *config*), read by the ``datasets`` library, or one *file* of the repository, taken
    as it is, for sets that keep their rows in files of their own or behind a script that no longer loads.
    """

    name: str
    split: str = "test"
    config: str | None = None
    file: str | None = None
    revision: str = "main"

    @property
    def spec(self) -> str:
        """For tables and errors: ``hf:NAME:SPLIT@REVISION``."""
        part = self.file or ":".join(filter(None, (self.config, self.split)))
        return f"hf:{self.name}:{part}@{self.revision}"

    def rows(self, cache: Path | None = None) -> Iterator[Row]:
        """Yield every row in the published order; downloads land in *cache*, None: the library's own.

        What was downloaded once is read again without a network, with ``HF_HUB_OFFLINE=1``.

        Raises:
            DataError: it cannot be had, and what to do then.
            MissingExtra: the ``datasets`` library is not installed.
        """
        if self.file is not None:
            yield from open_source(str(self._file(self.file, cache))).rows()
            return
        with self._errors():
            values = self._split(cache)
        for number, value in enumerate(values, 1):
            yield Row(f"{self.spec}: row {number}", value)

    def _split(self, cache: Path | None) -> Any:
        where = {} if cache is None else {"cache_dir": str(cache)}
        revision = {} if Path(self.name).is_dir() else {"revision": self.revision}
        return _library("datasets", self.spec).load_dataset(
            self.name, self.config, split=self.split, **revision, **where
        )

    def _file(self, name: str, cache: Path | None) -> Path:
        if Path(self.name).is_dir():
            return Path(self.name) / name
        with self._errors():
            found = _library("huggingface_hub", self.spec).hf_hub_download(
                self.name, name, repo_type="dataset", revision=self.revision, cache_dir=cache
            )
        return Path(str(found))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (DataError, MissingExtra):
            raise
        except Exception as error:  # the libraries let through what their many readers and HTTP raise
            raise DataError(
                f"{self.spec}: {load_failure(error, self.name)}. Without internet, give a file of the same"
                " rows with --data FILE; for a gated set, accept its terms on the hub"
            ) from error


def _library(name: str, purpose: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra("datasets", "data", f"reading {purpose}") from error


def as_record(row: Row) -> Mapping[str, Any]:
    """Return the columns of *row*.

    Raises:
        DataError: it holds something else than an object.
    """
    if not isinstance(row.value, Mapping):
        raise DataError(f"{row.place}: a row must be an object, not {type(row.value).__name__}")
    return row.value


def column(row: Row, name: str, *, blank: bool = False) -> str:
    """Return the text in the column *name* unchanged; an empty one only where *blank* allows it.

    Raises:
        DataError: there is no such column, or it holds no text.
    """
    values = as_record(row)
    if name not in values:
        there = ", ".join(repr(str(key)[:40]) for key in list(values)[:20]) or "no columns at all"
        raise DataError(f"{row.place}: no {name!r} here; there are {there}")
    value = values[name]
    if not isinstance(value, str):
        raise DataError(f"{row.place}: {name!r} must be a text, not {type(value).__name__}")
    if not blank and not value.strip():
        raise DataError(f"{row.place}: {name!r} is empty")
    return value
