"""Text of models and data is untrusted: nothing in it may steer the terminal or the markup."""

from __future__ import annotations

import unicodedata

import typer
from rich.text import Text

JOINERS = "\u200c\u200d"
"""Invisible, yet emoji and several scripts are spelled with them."""

STEERING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode's categories of controls, formats (writing direction among them), surrogates, breaks of line."""


def visible(text: str) -> str:
    r"""*text* with every character that could steer a terminal written out, as ``\x1b``; line breaks stay."""
    return "".join(character if _harmless(character) else _escaped(character) for character in _plain(text))


def for_reader(text: str, *, terminal: bool) -> str:
    """Return *text* for stdout: unchanged for a file or a pipe, escaped for a *terminal*."""
    return visible(text) if terminal else text


def echo(sentence: str, *, err: bool = False) -> None:
    """Print *sentence*, whatever characters the names and paths in it hold."""
    typer.echo(visible(sentence), err=err)


def one_line(text: str, width: int) -> str:
    """*text* on one line of at most *width* characters: breaks as spaces, an ellipsis for what is cut."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


def literal(text: str, style: str = "") -> Text:
    """*text* for rich, its square brackets no markup."""
    return Text(visible(text), style=style)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").expandtabs(4)


def _harmless(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind not in STEERING or character == "\n" or character in JOINERS


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
