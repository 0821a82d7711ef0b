"""Prompt templates over the columns of a row, and access to nested columns by dotted names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from string import Formatter
from typing import Any, Self

from tpo.errors import ConfigError

_ESCAPE = re.compile(r"\\([nt\\])")
_ESCAPED = {"n": "\n", "t": "\t", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Template:
    r"""Text with ``{column}`` slots. ``{{`` and ``}}`` are braces, ``\n`` and ``\t`` are escapes.

    Args:
        pieces: literal texts, each with the column that follows it; None after the last.
    """

    pieces: tuple[tuple[str, str | None], ...]

    @classmethod
    @lru_cache(maxsize=16)
    def parse(cls, text: str) -> Self:
        """Parse *text*.

        Raises:
            ConfigError: a brace is not closed, or no column is named.
        """
        unescaped = _ESCAPE.sub(lambda found: _ESCAPED[found[1]], text)
        try:
            parsed = list(Formatter().parse(unescaped))
        except ValueError as error:
            raise ConfigError(f"--template {text!r}: {error}; write {{{{ and }}}} for braces") from error
        for _, name, form, conversion in parsed:
            if name == "" or form or conversion:
                raise ConfigError(f"--template {text!r}: a slot is a column's name in braces: {{question}}")
        pieces = tuple((literal, name) for literal, name, _, _ in parsed)
        if not any(name for _, name in pieces):
            raise ConfigError(f"--template {text!r}: names no column; write one in braces: {{question}}")
        return cls(pieces)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are filled in."""
        return tuple(name for _, name in self.pieces if name is not None)

    def fill(self, text_of: Callable[[str], str]) -> str:
        """Return the text with every slot filled; blank ends, which an empty column leaves, are cut off."""
        filled = (literal + (text_of(name) if name else "") for literal, name in self.pieces)
        return "".join(filled).strip()


class MissingColumn(LookupError):
    """A column that is not there; the message names those that are."""


def lookup(values: Mapping[str, Any], name: str) -> Any:
    """Return the value of the column *name*, else of the nested column that its dots lead to.

    Raises:
        MissingColumn: there is neither.
    """
    if name in values:
        return values[name]
    head, _, rest = name.partition(".")
    inner = values.get(head)
    if rest and isinstance(inner, list):
        inner = {str(position): item for position, item in enumerate(inner)}
    if rest and isinstance(inner, Mapping):
        return lookup(inner, rest)
    raise MissingColumn(f"no {name!r} here; there are {column_names(values)}")


def without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return *values* less the column that :func:`lookup` finds under *name*."""
    if name in values:
        return {key: value for key, value in values.items() if key != name}
    head, _, rest = name.partition(".")
    inner = values.get(head)
    if not (rest and isinstance(inner, Mapping)):
        return dict(values)
    left = without(inner, rest)
    return {key: left if key == head else value for key, value in values.items() if key != head or left}


def column_names(values: Mapping[str, Any]) -> str:
    """Return the names of *values*, for messages."""
    return ", ".join(repr(str(name)[:40]) for name in list(values)[:20]) or "no columns at all"
