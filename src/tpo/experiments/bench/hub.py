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
    """A data set of the Hugging Face hub, or a folder with a copy of its repository.

    Either a *split* (of a *config*), read by the ``datasets`` library, or one *file* of the repository, for
    data sets with files in a format of their own or with a loading script that no longer works.
    """

    name: str
    split: str = "test"
    config: str | None = None
    file: str | None = None
    revision: str = "main"

    @property
    def spec(self) -> str:
        """Name for tables and errors: ``hf:NAME:SPLIT@REVISION``."""
        part = self.file or ":".join(filter(None, (self.config, self.split)))
        return f"hf:{self.name}:{part}@{self.revision}"

    def rows(self, cache: Path | None = None) -> Iterator[Row]:
        """Yield every row in published order; *cache* is the download folder, None: the library's default.

        Downloaded data is read again without a network if ``HF_HUB_OFFLINE=1`` is set.

        Raises:
            DataError: the data cannot be loaded; the error says what to do.
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
        except Exception as error:  # the libraries do not wrap exceptions of their readers and HTTP clients
            raise DataError(
                f"{self.spec}: {load_failure(error, self.name)}. Without internet access, give a file"
                " with the same rows with --data FILE; for a gated data set, accept its terms on the hub"
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
