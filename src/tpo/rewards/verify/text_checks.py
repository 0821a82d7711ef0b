"""Checks of a response's text: JSON with a schema, and regular expressions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.errors import ConfigError, MissingExtra
from tpo.rewards.verify.fences import fenced_blocks
from tpo.rewards.verify.reward import numbered, texts_of
from tpo.types import Query

SECONDS = 2.0
"""Seconds after which a regular expression counts as not matching: some take forever on some texts."""


@dataclass(frozen=True)
class JsonChecks:
    """The response, or the only fenced block in it, is JSON and fits a schema.

    The schema is *schema*, else that of the row's *column*, else there is none.

    Raises:
        MissingExtra: jsonschema is not installed.
    """

    schema: Mapping[str, Any] | None = None
    column: str = "schema"

    def __post_init__(self) -> None:
        _jsonschema()

    async def __call__(self, response: str, query: Query) -> dict[str, bool]:
        """Return the two checks, or the first alone where there is no schema."""
        schema = self.schema
        if schema is None and query.metadata.get(self.column) is not None:
            schema = _schema(query.metadata[self.column])
        try:
            value = json.loads(_json_text(response))
        except (ValueError, RecursionError):
            return {"is JSON": False} | ({} if schema is None else {"fits the schema": False})
        if schema is None:
            return {"is JSON": True}
        return {"is JSON": True, "fits the schema": _fits(value, schema)}


@dataclass(frozen=True)
class RegexChecks:
    """Each regular expression, of *pattern* or else of the row's *column*, is found in the response.

    Raises:
        MissingExtra: regex is not installed.
        ConfigError: *pattern* is no regular expression.
    """

    pattern: str | None = None
    column: str = "pattern"

    def __post_init__(self) -> None:
        if self.pattern is not None:
            try:
                _regex().compile(self.pattern)
            except _regex().error as error:
                raise ConfigError(
                    f"verify:regex: {self.pattern!r} is no regular expression: {error}"
                ) from error

    async def __call__(self, response: str, query: Query) -> dict[str, bool]:
        """Return a check for each expression."""
        patterns = [self.pattern] if self.pattern is not None else texts_of(query, self.column)
        found = [_is_found(each, response) for each in patterns]
        return dict(zip(numbered([f"matches {each}" for each in patterns]), found, strict=True))


def read_schema(path: Path) -> Mapping[str, Any]:
    """Return the JSON Schema in *path*.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    try:
        return _schema(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"verify:json: schema {path}: {error}") from error


def _schema(given: Any) -> Mapping[str, Any]:
    if isinstance(given, str):
        given = json.loads(given)
    if not isinstance(given, dict):
        raise ValueError("a JSON Schema is an object")
    validators = _jsonschema().validators
    try:
        validators.validator_for(given).check_schema(given)
    except _jsonschema().exceptions.SchemaError as error:
        raise ValueError(f"no JSON Schema: {error.message}") from error
    return given


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    validator = _jsonschema().validators.validator_for(schema)(schema)
    try:
        return bool(validator.is_valid(value))
    except Exception as error:
        raise ValueError(f"the schema cannot be applied: {type(error).__name__}: {error}") from error


def _json_text(response: str) -> str:
    blocks = fenced_blocks(response, ("json",))
    return blocks[0].content if len(blocks) == 1 else response


def _is_found(pattern: str, text: str) -> bool:
    try:
        return _regex().search(pattern, text, timeout=SECONDS) is not None
    except TimeoutError:
        return False
    except _regex().error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


def _regex() -> Any:
    try:
        import regex
    except ImportError as error:
        raise MissingExtra("regex", "verify", "--reward verify:regex") from error
    return regex


def _jsonschema() -> Any:
    try:
        import jsonschema
    except ImportError as error:
        raise MissingExtra("jsonschema", "verify", "--reward verify:json") from error
    return jsonschema
