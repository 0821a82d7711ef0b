"""From what a user writes (a path, or ``hf:NAME``) to queries: found, opened, checked, numbered."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from tpo.data.arrow import ParquetSource
from tpo.data.csv_source import CsvSource
from tpo.data.hub import HubSource
from tpo.data.json_source import JsonSource
from tpo.data.row import Row, Source
from tpo.data.to_query import to_query
from tpo.errors import ConfigError, DataError
from tpo.types import Query

KNOWN = ".json, .jsonl, .csv, .tsv (each also as .gz) and .parquet files, and hf:NAME[:SPLIT]"


def load_queries(spec: str, *, column: str | None = None, limit: int | None = None) -> Iterable[Query]:
    """The first *limit* queries (all: None) of *spec*, streaming, in order, from the start each time.

    *spec* is a path or ``hf:NAME[[:CONFIG]:SPLIT]``. *column* names what holds the prompt or the messages;
    without it that is ``prompt`` or ``messages``. Ids are the rows' own, else ``q0``, ``q1``, … by position.
    A missing file is refused at once, a wrong row when it is reached: run :func:`count_queries` first.

    Raises:
        DataError: *spec* cannot be read, or a row is wrong; the message names file and line.
        ConfigError: *limit* is below 1.
        MissingExtra: the format needs a library of the extra ``data``.
    """
    return _Queries(open_source(spec), spec, column, _checked(limit))


def count_queries(spec: str, *, column: str | None = None, limit: int | None = None) -> int | None:
    """How many queries :func:`load_queries` will give, each of a file's rows being checked on the way.

    A file is read through once, as a stream. Of a Hugging Face data set only the first row is checked, and
    the number is what the data set says of itself, or None.

    Raises:
        DataError: as :func:`load_queries`, and for every wrong row of a file.
    """
    queries = load_queries(spec, column=column, limit=limit)
    source = open_source(spec)
    if not isinstance(source, HubSource):
        return sum(1 for _ in queries)
    next(iter(queries))
    size = source.known_size()
    return size if size is None or limit is None else min(size, limit)


def data_digest(spec: str) -> str:
    """What changes whenever the content of *spec* does: ``sha256:…`` of a file, of ``hf:`` its own.

    Raises:
        DataError: *spec* cannot be read.
    """
    return open_source(spec).digest()


class _Queries:
    """Queries that can be streamed more than once."""

    def __init__(self, source: Source, spec: str, column: str | None, limit: int | None) -> None:
        self._source = source
        self._spec = spec
        self._column = column
        self._limit = limit

    def __iter__(self) -> Iterator[Query]:
        places: dict[str, str] = {}
        for position, row in enumerate(islice(self._source.rows(), self._limit)):
            query = to_query(row, f"q{position}", self._column)
            _require_new(query.id, row, places)
            yield query
        if not places:
            raise DataError(f"{self._spec}: holds no query")


def _require_new(identity: str, row: Row, places: dict[str, str]) -> None:
    earlier = places.setdefault(identity, row.place)
    if earlier is not row.place:
        raise DataError(f"{row.place}: the id {identity!r} was given before, at {earlier}; ids must differ")


def _checked(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit is {limit}; it must be at least 1")
    return limit


def open_source(spec: str) -> Source:
    """The rows of *spec* as they stand there, for those who make other queries of them.

    Raises:
        DataError: there is no such file, or no reader for its kind.
    """
    if spec.startswith("hf:"):
        return HubSource.parse(spec)
    path = Path(spec).expanduser()
    _require_file(spec, path)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    match suffix.lower():
        case ".json" | ".jsonl" | ".ndjson":
            return JsonSource(path)
        case ".csv":
            return CsvSource(path)
        case ".tsv":
            return CsvSource(path, "\t")
        case ".parquet" if path.suffix != ".gz":
            return ParquetSource(path)
    raise DataError(f"{spec}: unknown kind of file; tpo reads {KNOWN}")


def _require_file(spec: str, path: Path) -> None:
    try:
        if path.is_dir():
            raise DataError(
                f"{spec}: is a folder; name a file in it, or write hf:{spec} for a data set's folder"
            )
        if not path.exists():
            raise DataError(f"{spec}: no such file{_suggestion(spec, path)}")
    except (OSError, ValueError) as error:  # a folder that may not be entered; a NUL in the name
        raise DataError(f"{spec!r}: cannot be opened: {error}") from error


def _suggestion(spec: str, path: Path) -> str:
    if path.parent.is_dir():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1)
        if near:
            return f"; did you mean {path.with_name(near[0])}?"
    if spec.startswith(("http://", "https://")):
        return "; download it first"
    if not path.suffix and spec.count("/") <= 1:
        return f"; for a Hugging Face data set write hf:{spec}"
    return ""
