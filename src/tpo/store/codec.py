"""Encode frozen dataclasses as lines of JSON with a checksum, and decode them.

A line holds the fields that differ from their defaults. Reading is strict about types and ignores unknown
keys, so that later versions may add some.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from tpo.errors import StoreError
from tpo.store.jsonline import from_line, seal_json, to_line, unseal_json

SCHEMA: Final = 2
"""Version of every file of a run; see :mod:`tpo.store.schema1` for the one before."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

Line = TypeVar("Line")


class Codec(Generic[Line]):
    """Encoder and decoder of one kind of line, a dataclass; built at first use (16 ms for a trajectory)."""

    def __init__(self, kind: type[Line]) -> None:
        self._kind = kind

    @cached_property
    def adapter(self) -> TypeAdapter[Line]:
        """Pydantic's adapter of the dataclass."""
        return TypeAdapter(self._kind)

    def encode(self, value: Line) -> bytes:
        """Return *value* as one sealed line.

        Raises:
            StoreError: it holds a value that JSON has no form for.
        """
        try:
            return seal_json(self.adapter.dump_json(value, exclude_defaults=True, warnings=False))
        except PydanticSerializationError:  # a text that UTF-8 cannot hold, or no JSON at all
            record = self.adapter.dump_python(value, exclude_defaults=True, warnings=False)
            return seal_json(to_line(record).removesuffix(b"\n"))

    def decode(self, line: bytes) -> Line:
        """Return the value of a sealed *line*.

        Raises:
            ValueError: the line is not as it was written, or holds something else.
        """
        return self.decode_json(unseal_json(line))

    def decode_json(self, encoded: bytes) -> Line:
        """Return the value of the JSON object *encoded*.

        Raises:
            ValueError: it holds something else.
        """
        try:
            if _SURROGATE.search(encoded):
                return self._decode_surrogates(encoded)
            return self.adapter.validate_json(encoded, strict=True)
        except ValidationError as error:
            raise ValueError(_first_error(error)) from error

    def _decode_surrogates(self, encoded: bytes) -> Line:
        """As :meth:`decode_json`, for texts with unpaired surrogates, which pydantic's parser refuses.

        pydantic is strict about parsed values in another way than about JSON (a list is no tuple). So types
        are checked on a copy without surrogates, and the value is made leniently.
        """
        record = from_line(encoded)
        copy = json.dumps(record, ensure_ascii=False).encode(errors="replace")
        self.adapter.validate_json(copy, strict=True)
        return self.adapter.validate_python(record)


def check_schema(version: Any, place: object) -> None:
    """Refuse what a later version of this package wrote at *place*.

    Raises:
        StoreError: *version* is not :data:`SCHEMA`.
    """
    if version != SCHEMA:
        raise StoreError(
            f"{place}: schema version {version}; this version of tpo reads versions 1 and {SCHEMA} only"
        )


def _first_error(error: ValidationError) -> str:
    """Return the place and the reason of the first fault that pydantic found."""
    found = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, found['loc'])) or 'the line'}: {found['msg']}"
