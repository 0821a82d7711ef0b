"""Records as lines of UTF-8 JSON, with or without a checksum.

A text that UTF-8 cannot hold (a lone surrogate, as a broken escape in a data set makes) is written with
JSON's own hexadecimal escapes, in that line alone. JSON has one form only for a high surrogate followed by a
low one: the character that they stand for. So :func:`storable` joins such a pair before it goes anywhere.
"""

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from pydantic_core import to_json

from tpo.data.to_query import MAX_DEPTH
from tpo.errors import StoreError

SEAL = b',"crc":'

TOO_DEEP = "<nested too deeply>"
"""Stands for what is nested so deeply that a JSON parser may refuse the whole line."""

_COMPACT: dict[str, Any] = {"allow_nan": False, "separators": (",", ":")}
_AS_IT_IS = json.JSONEncoder(ensure_ascii=False, **_COMPACT)
_ESCAPED = json.JSONEncoder(**_COMPACT)


def to_line(record: Mapping[str, Any]) -> bytes:
    """Return *record* as one line, line feed included.

    Raises:
        StoreError: it holds a value that JSON has no form for.
    """
    try:
        try:
            return _AS_IT_IS.encode(record).encode() + b"\n"
        except UnicodeEncodeError:
            return _ESCAPED.encode(record).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"a record cannot be written as JSON: {error}") from error


def from_line(line: bytes) -> dict[str, Any]:
    """Return the record of *line*.

    Raises:
        ValueError: the line is no JSON object in UTF-8.
    """
    try:
        record = json.loads(line.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError(f"a JSON {type(record).__name__} where an object was expected")
    return record


def seal(record: Mapping[str, Any]) -> bytes:
    """Return *record*, whose values are JSON's own, as one line that carries its checksum."""
    try:
        return seal_json(to_json(record))  # a quarter of the time of Python's writer
    except ValueError:  # a text that UTF-8 cannot hold
        return seal_json(to_line(record).removesuffix(b"\n"))


def seal_json(encoded: bytes) -> bytes:
    """Return the JSON object *encoded*, which has a key at least, as one line that carries its checksum."""
    body = encoded[: -len(b"}")]
    return b"%s%s%d}\n" % (body, SEAL, zlib.crc32(body))


def unseal(line: bytes) -> dict[str, Any]:
    """Return the record of a sealed *line*.

    Raises:
        ValueError: the line is not as it was written.
    """
    return from_line(unseal_json(line))


def unseal_json(line: bytes) -> bytes:
    """Return the JSON object of a sealed *line*, without its checksum.

    Raises:
        ValueError: the line is not as it was written.
    """
    body, _, _ = line.rpartition(SEAL)
    if line != b"%s%s%d}\n" % (body, SEAL, zlib.crc32(body)):
        raise ValueError("its checksum does not match")
    return body + b"}"


def is_sealed(line: bytes) -> bool:
    """Return whether *line* carries a checksum, matching or not."""
    return SEAL in line[-len(SEAL) - len(b"4294967295}\n") :]


def flat(value: Any) -> dict[str, Any]:
    """Return the fields of a frozen value, not copied.

    ``dataclasses.asdict`` enters and copies whatever they hold, and took a fifth of a client's time.
    """
    kind: Any = type(value)
    return {name: getattr(value, name) for name in _fields(kind)}


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    """Return the names of the fields of *kind*, those of its bases included: ``__slots__`` lacks these."""
    return tuple(field.name for field in fields(kind))


def storable(text: str) -> str:
    """Return *text* as it comes back from a file: with pairs of surrogates joined."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


def plain(value: Any, levels: int = MAX_DEPTH + 1) -> Any:
    """Return *value* in JSON's types: NaN as null, a date in ISO form, another object as its text.

    Lists and objects below so many *levels* of them become :data:`TOO_DEEP`.
    """
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        if levels == 0:
            return TOO_DEEP
        if isinstance(value, Mapping):
            return {str(key): plain(item, levels - 1) for key, item in value.items()}
        return [plain(item, levels - 1) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
