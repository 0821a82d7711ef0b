"""Sources by what the user names: files, patterns, standard input, Hugging Face data sets."""

from __future__ import annotations

import codecs
import csv
import difflib
import glob
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tpo.data.csv_source import DELIMITERS, CsvSource
from tpo.data.hub import HubSource
from tpo.data.json_source import JsonSource
from tpo.data.options import DEFAULTS, ReadOptions
from tpo.data.parquet_source import ParquetSource
from tpo.data.remote import is_url, remote_files
from tpo.data.row import OnInvalid, Row, Source, raise_invalid
from tpo.data.standard_input import standard_input
from tpo.data.text import OPENERS, TextFile
from tpo.data.text_source import LineSource
from tpo.data.to_query import INSTRUCTION, PROMPT
from tpo.errors import DataError

KNOWN = (
    ".json, .jsonl, .csv, .tsv and .txt (each also as .gz, .bz2, .xz or .zst) and .parquet files, "
    "also by URLs of object stores (s3://, gs://), - for standard input, and hf:NAME[:SPLIT]"
)
STANDARD_INPUT = "-"

Spec = str | Sequence[str]
"""A path, a URL, a pattern (``data/*.jsonl``), ``-``, ``hf:NAME[[:CONFIG]:SPLIT]``; or several of these."""


def single_or_several(names: Sequence[str]) -> Spec:
    """Return the only one of *names* as itself, so that one file is the same data in a list or alone."""
    return names[0] if len(names) == 1 else tuple(names)


def named(spec: Spec) -> str:
    """Return *spec* for a sentence or a record."""
    return spec if isinstance(spec, str) else ", ".join(spec)


@dataclass(frozen=True, slots=True)
class _JoinedSource:
    """Several sources, one after the other."""

    sources: tuple[Source, ...]

    def rows(self, on_invalid: OnInvalid = raise_invalid) -> Iterator[Row]:
        """Yield the rows of each source in turn."""
        for source in self.sources:
            yield from source.rows(on_invalid)

    def digest(self) -> str:
        """Return the hash of the sources' digests."""
        digests = "\n".join(source.digest() for source in self.sources)
        return f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}"

    def known_size(self) -> int | None:
        """Return None: the size is not known before reading."""
        return None


def open_source(spec: Spec, options: ReadOptions = DEFAULTS) -> Source:
    """Return the rows of *spec* as they are, for callers that make other queries of them.

    Raises:
        DataError: there is no such file, or no reader for its format.
    """
    names = [spec] if isinstance(spec, str) else list(spec)
    if not names:
        raise DataError(f"no data is named; tpo reads {KNOWN}")
    sources = [source for name in names for source in _sources(name, options)]
    return sources[0] if len(sources) == 1 else _JoinedSource(tuple(sources))


def _sources(name: str, options: ReadOptions) -> list[Source]:
    if name.startswith("hf:"):
        return [HubSource.parse(name)]
    if name == STANDARD_INPUT:
        file = standard_input()
        return [_readers(_sniffed_format(file, options), options)(file)]
    if is_url(name):
        return [_of_file(file, options) for file in remote_files(name)]
    if not name.strip():
        raise DataError(f"the name of the data is empty; tpo reads {KNOWN}")
    path = Path(name).expanduser()
    if glob.has_magic(name) and not _exists(name, path):
        return [_of_file(TextFile(match), options) for match in _matches(name, path)]
    _require_file(name, path)
    return [_of_file(TextFile(path), options)]


def _matches(name: str, pattern: Path) -> list[Path]:
    """Return the files that match *pattern*, sorted by name."""
    # Path.glob takes no absolute pattern.
    found = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207
    files = [path for path in found if path.is_file()]
    if not files:
        raise DataError(f"{name}: no such file, and no file matches it as a pattern")
    return files


def _of_file(file: TextFile, options: ReadOptions) -> Source:
    path = file.path
    compressed = path.suffix.lower() in OPENERS
    suffix = (path.with_suffix("").suffix if compressed else path.suffix).lower()
    if suffix == ".parquet" and compressed:
        suffix = path.suffix  # Parquet needs seeking, and is compressed by itself
    return _readers(suffix, options)(file)


def _readers(suffix: str, options: ReadOptions) -> Callable[[TextFile], Source]:
    def unknown(file: TextFile) -> Source:
        raise DataError(f"{file}: unknown kind of file; tpo reads {KNOWN}")

    readers: Mapping[str, Callable[[TextFile], Source]] = {
        ".json": JsonSource,
        ".jsonl": JsonSource,
        ".ndjson": JsonSource,
        ".csv": lambda file: CsvSource(file, options.delimiter),
        ".tsv": lambda file: CsvSource(file, options.delimiter or "\t"),
        ".txt": LineSource,
        ".parquet": ParquetSource,
    }
    return readers.get(suffix, unknown)


def _sniffed_format(file: TextFile, options: ReadOptions) -> str:
    """Return the suffix that the content of *file* would have."""
    with file.open() as opened:
        start = opened.read(4096)
    if start.startswith(b"PAR1"):
        return ".parquet"
    first = start.removeprefix(codecs.BOM_UTF8).strip().replace(b"\r", b"\n").partition(b"\n")[0]
    if first.startswith((b"{", b"[")):
        return ".jsonl"
    line = first.decode("utf-8", "replace")
    if _is_header(line) or line == json.dumps(options.column):
        return ".csv"
    if _is_json_text(line):
        return ".jsonl"
    return ".csv" if options.column or options.template or options.delimiter else ".txt"


def _is_json_text(line: str) -> bool:
    """Return whether *line* is a text in JSON, as JSON Lines may have it for a prompt."""
    try:
        return isinstance(json.loads(line), str)
    except ValueError:
        return False


def _is_header(line: str) -> bool:
    """Return whether *line* is the header of a table with a prompt."""
    rows = [next(csv.reader([line], delimiter=delimiter), []) for delimiter in DELIMITERS]
    return any({PROMPT, INSTRUCTION} & set(row) for row in rows)


def _require_file(name: str, path: Path) -> None:
    try:
        if path.is_dir():
            raise DataError(
                f"{name}: is a folder; name a file in it or a pattern such as {path / '*.jsonl'}, or write "
                f"hf:{name} for a data set's folder"
            )
    except (OSError, ValueError) as error:
        raise DataError(f"{name!r}: cannot be opened: {error}") from error
    if not _exists(name, path):
        raise DataError(f"{name}: no such file{_suggestion(name, path)}")


def _exists(name: str, path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError) as error:  # a folder without permission; a NUL in the name
        raise DataError(f"{name!r}: cannot be opened: {error}") from error


def _suggestion(name: str, path: Path) -> str:
    if path.parent.is_dir():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1)
        if near:
            return f"; did you mean {path.with_name(near[0])}?"
    if name.startswith(("http://", "https://")):
        return "; download it first"
    if not path.suffix and name.count("/") <= 1:
        return f"; for a Hugging Face data set write hf:{name}"
    return ""
