"""Options of reading a data set, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tpo.data.template import Template
from tpo.errors import ConfigError

DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    r"""Options of turning rows into queries.

    Args:
        column: the column that holds the prompt or the messages, a nested one as ``body.messages``; None: the
            columns are recognised by their names.
        template: text with columns in braces that makes the prompt, ``'{instruction}\n\n{input}'``.
        system: system text put before conversations that have none.
        delimiter: delimiter of CSV files; None: recognised.
        skip_invalid: leave out rows that cannot be read instead of refusing the data set.
        drop_last_assistant: leave out the assistant's turns at the end of a conversation.
        limit: number of queries to read; None: all.

    Raises:
        ConfigError: a value is out of range, or two exclude each other.
    """

    column: str | None = None
    template: str | None = None
    system: str | None = None
    delimiter: str | None = None
    skip_invalid: bool = False
    drop_last_assistant: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"--limit is {self.limit}; it must be at least 1")
        if self.column is not None and self.template is not None:
            raise ConfigError("--column and --template exclude each other; a template names its columns")
        if self.system is not None and not self.system.strip():
            raise ConfigError("--system is empty; leave it out or give a text")
        if self.template is not None:
            Template.parse(self.template)
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _delimiter(self.delimiter))

    @property
    def changes(self) -> dict[str, object]:
        """The options that change what a row becomes and are not at their defaults, apart from *column*."""
        unchanged = {"column", "limit"}  # the first is compared by name, the second may grow
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value and name not in unchanged}


def _delimiter(text: str) -> str:
    """Return the delimiter that *text* is or names.

    Raises:
        ConfigError: it is not a single character.
    """
    delimiter = DELIMITER_NAMES.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ConfigError(f"--delimiter is a single character, or tab, and not a quotation mark: {text!r}")
    return delimiter


DEFAULTS = ReadOptions()
"""Columns and delimiter recognised, every row read."""
