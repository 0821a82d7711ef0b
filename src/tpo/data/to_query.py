"""Rows to queries: the conversation, the id, the reference, and all other columns as metadata.

Data is untrusted. It is checked here, once, so that no later code meets an empty prompt, a turn without a
role, or text that cannot be encoded as UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from tpo.data.conversation import earlier_turns, kind, plain_value, read_conversation
from tpo.data.options import DEFAULTS, ReadOptions
from tpo.data.row import MAX_COLUMNS, Row, too_many_columns
from tpo.data.template import MissingColumn, Template, column_names, lookup, without
from tpo.errors import DataError
from tpo.types import Messages, Query, system, user

PROMPT, MESSAGES = "prompt", "messages"
CONVERSATIONS = ("conversations", "conversation")
"""Columns of ShareGPT's form."""

INSTRUCTION = "instruction"
INPUTS, OUTPUTS = ("input", "context"), ("output", "response")
"""Columns of Alpaca's form, and their names in Dolly's."""

OWN_COLUMNS = ("id", "reference")


MAX_DEPTH = 100
"""Levels of lists and objects in a column. The JSON parser of a run's files refuses 200 levels in all."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Content of a row: the *messages*, a known *answer*, and the columns that both were *taken* from."""

    messages: Messages
    answer: str | None
    taken: tuple[str, ...]


def to_query(row: Row, default_id: str, options: ReadOptions = DEFAULTS) -> Query:
    """Return the query in *row*.

    Raises:
        DataError: the row holds no usable conversation; the message names its place.
    """
    try:
        if isinstance(row.value, str):
            return Query(default_id, _with_system(_of_text(row.value, options), options.system))
        if not isinstance(row.value, Mapping):
            raise DataError(f"a query is a text or an object, not {kind(row.value)}")
        if len(row.value) > MAX_COLUMNS:
            raise too_many_columns(row.place, len(row.value))
        if _is_deeper(row.value, MAX_DEPTH + 1):
            raise DataError(
                f"is nested too deeply: a column may have {MAX_DEPTH} levels of lists and objects"
            )
        return _query(cast("Mapping[str, Any]", row.value), default_id, options)
    except RecursionError as error:
        raise DataError(f"{row.place}: is nested too deeply") from error
    except (DataError, MissingColumn) as error:
        said = str(error)
        raise DataError(said if said.startswith(row.place) else f"{row.place}: {said}") from error


def _is_deeper(value: object, levels: int) -> bool:
    """Return whether *value* has more than *levels* of lists and objects."""
    if not isinstance(value, (Mapping, list, tuple)):
        return False
    parts = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in parts)


def _of_text(text: str, options: ReadOptions) -> Messages:
    if options.template is not None:
        raise DataError("--template needs columns, and this row is a text")
    return read_conversation(text, "the query")[0]


def _query(values: Mapping[str, Any], default_id: str, options: ReadOptions) -> Query:
    asked = _asked(values, options)
    left = {name: value for name, value in values.items() if name not in OWN_COLUMNS}
    for name in asked.taken:
        if name in left:
            del left[name]
        elif "." in name:
            left = without(left, name)
    reference = _reference(values.get("reference"))
    return Query(
        id=_identity(values.get("id"), default_id),
        messages=_with_system(asked.messages, options.system),
        reference=reference if reference is not None else asked.answer,
        metadata={key: plain_value(value) for key, value in left.items()},
    )


def _asked(values: Mapping[str, Any], options: ReadOptions) -> _Asked:
    if options.template is not None:
        return _of_template(values, Template.parse(options.template))
    column = options.column if options.column is not None else _recognised_column(values)
    if options.column is None and column == INSTRUCTION:
        return _of_alpaca(values)
    value = lookup(values, column)
    if column in (MESSAGES, *CONVERSATIONS):
        value = _from_json(value, column)
    messages, dropped = read_conversation(
        value, repr(column), drop_last_assistant=options.drop_last_assistant
    )
    if options.column is None and column in CONVERSATIONS and isinstance(values.get("system"), str):
        return _Asked(_with_system(messages, values["system"]), dropped or None, (column, "system"))
    return _Asked(messages, dropped or None, (column,))


def _from_json(value: object, column: str) -> object:
    """Return the list of messages that the text *value* holds as JSON, as in CSV; other values as they are.

    Raises:
        DataError: it begins like such a list, and is not JSON.
    """
    if not isinstance(value, str) or not re.match(r"\s*\[\s*\{", value):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{column!r} begins like a list of messages and is not JSON: {error}; write it with json.dumps"
        ) from error


def _recognised_column(values: Mapping[str, Any]) -> str:
    """Return the column that holds the conversation.

    Raises:
        DataError: there is none, or there are two.
    """
    present = [name for name in (PROMPT, MESSAGES) if values.get(name) is not None]
    if len(present) == 2:
        raise DataError("has both 'prompt' and 'messages'; choose one with --column")
    known = (PROMPT, MESSAGES, *CONVERSATIONS, INSTRUCTION)
    if not present:
        present = [name for name in known if values.get(name) is not None]
    if present:
        return present[0]
    null = [name for name in known if name in values]
    if null:
        raise DataError(f"{null[0]!r} is empty (null)")
    raise DataError(
        f"neither 'prompt' nor 'messages' here; there are {column_names(values)}. "
        "Name the one to use with --column, or build the prompt from several with --template"
    )


def _of_template(values: Mapping[str, Any], template: Template) -> _Asked:
    def text_of(name: str) -> str:
        value = lookup(values, name)
        if isinstance(value, (dict, list)):
            raise DataError(f"{name!r} must be a text or a number for --template, not {kind(value)}")
        return "" if value is None else str(value)

    text = template.fill(text_of)
    if not any(text_of(name).strip() for name in template.columns):
        raise DataError(f"the columns of --template are empty: {', '.join(map(repr, template.columns))}")
    return _Asked((user(text),), None, template.columns)


def _of_alpaca(values: Mapping[str, Any]) -> _Asked:
    """Read instruction and input as the user's turn, the output as the reference, the history before them."""
    instruction = read_conversation(values[INSTRUCTION], repr(INSTRUCTION))[0]
    more = next((name for name in INPUTS if isinstance(values.get(name), str)), None)
    has_reference = values.get("reference") is not None
    output = next((n for n in OUTPUTS if isinstance(values.get(n), str) and not has_reference), None)
    if more is not None and values[more].strip() and isinstance(values[INSTRUCTION], str):
        instruction = (user(f"{values[INSTRUCTION]}\n\n{values[more]}"),)
    messages = (*earlier_turns(values.get("history")), *instruction)
    if isinstance(values.get("system"), str):
        messages = _with_system(messages, values["system"])
    null = [name for name in (*INPUTS, *OUTPUTS) if name in values and values[name] is None]
    taken = (INSTRUCTION, "history", "system", *null, *filter(None, (more, output)))
    return _Asked(messages, values[output] or None if output else None, taken)


def _with_system(messages: Messages, text: str | None) -> Messages:
    """Return *messages* behind the system *text*, unless they begin with one of their own."""
    if not text or not text.strip() or messages[0]["role"] in ("system", "developer"):
        return messages
    return (system(text), *messages)


def _identity(value: object, default: str) -> str:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise DataError("'id' must be a text that is not empty, or a whole number")
    return str(value)


def _reference(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(f"'reference' must be a text or a number, not {kind(value)}")
    return None if math.isnan(value) else str(value)
