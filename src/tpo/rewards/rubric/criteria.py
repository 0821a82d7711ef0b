"""Criteria of a rubric: from a TOML or JSON file, and from a column of the data's own."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.errors import ConfigError
from tpo.rewards.decisions.endpoint import MOST_LEVELS, YES, Decision

AVOID = "avoid: "
"""Begins the name of a criterion with a negative weight in a record."""
_TEXT = ("text", "criterion")
_WEIGHT = ("weight", "points")
_KEYS = {*_TEXT, *_WEIGHT, "name", "levels"}
_FILE_KEYS = {"criteria", "column"}


class _Fault(Exception):
    """A fault of a rubric, and the key that holds it."""

    def __init__(self, reason: str, key: str | None = None) -> None:
        super().__init__(reason)
        self.key = key


@dataclass(frozen=True, slots=True)
class Criterion:
    """A criterion: yes or no, or one of *levels*, the lowest first.

    A negative *weight* makes it a fault: the record then holds the probability that the response is free of
    it, so that larger is better for every criterion.
    """

    name: str
    text: str
    weight: float = 1.0
    levels: tuple[str, ...] = ()

    @property
    def recorded_name(self) -> str:
        """The criterion's name in a score."""
        return f"{AVOID}{self.name}" if self.weight < 0 else self.name

    def decision(self) -> Decision:
        """Return the question that decides it."""
        return Decision(f"Criterion: {self.text}\nDoes the response meet this criterion?", self.levels)

    def degree(self, probabilities: Mapping[str, float]) -> float:
        """Return how far it is met, in [0, 1]: the probability of yes, or the expected level's share."""
        if not self.levels:
            return probabilities[YES]
        return math.fsum(int(label) * p for label, p in probabilities.items()) / (len(self.levels) - 1)


@dataclass(frozen=True, slots=True)
class RubricFile:
    """Criteria for every query, and the *column* of the data that holds further ones of each query."""

    criteria: tuple[Criterion, ...] = ()
    column: str | None = None

    @property
    def columns(self) -> Mapping[str, bool]:
        """Columns of the data that are read, as :meth:`tpo.registry.ModelSpec.columns` gives them."""
        return {} if self.column is None else {self.column: True}


def weighted_degree(criteria: Sequence[Criterion], degrees: Sequence[float]) -> float:
    """Return the weighted sum of *degrees* by the most that it can be, as HealthBench weighs points.

    Faults alone are divided by the sum of their weights: the value then lies in [-1, 0].
    """
    total = math.fsum(max(0.0, each.weight) for each in criteria)
    most = total or math.fsum(abs(each.weight) for each in criteria)
    gained = math.fsum(each.weight * degree for each, degree in zip(criteria, degrees, strict=True))
    return gained / most


def read_rubric_file(path: Path) -> RubricFile:
    """Read the rubric in *path*, TOML or by its ending JSON.

    Raises:
        ConfigError: it cannot be read, or has a fault; the message names the line.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"rubric {path}: cannot be read: {reason}") from error
    is_json = path.suffix.lower() == ".json"
    try:
        content = json.loads(text) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # both name the line
        kind = "JSON" if is_json else "TOML"
        raise ConfigError(f"rubric {path}: is not valid {kind}: {error}") from error
    content = {"criteria": content} if isinstance(content, list) else content
    return _rubric(content, path, text, is_json=is_json)


def row_criteria(value: Any, column: str) -> tuple[Criterion, ...]:
    """Return the criteria in a row's *column*: texts, or objects such as HealthBench's ``rubrics``.

    Keys that are no part of a criterion are ignored: they are the data's own. So are those that are null:
    columnar formats give every criterion the keys of all.

    Raises:
        ValueError: there is none, or one has a fault.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = [value]
    if not isinstance(value, list) or not value:
        raise ValueError(f"column {column!r} holds no list of criteria")
    found = []
    for number, row in enumerate(value, 1):
        known = row
        if isinstance(row, dict):
            known = {key: row[key] for key in row.keys() & _KEYS if row[key] is not None}
        try:
            found.append(_criterion(known))
        except _Fault as fault:
            raise ValueError(f"column {column!r}, criterion {number}: {fault}") from fault
    return tuple(found)


def _rubric(content: Any, path: Path, text: str, *, is_json: bool) -> RubricFile:
    def refuse(fault: _Fault, number: int | None = None) -> ConfigError:
        line = _line_of(text, number, fault.key, is_json=is_json)
        which = "" if number is None else f"criterion {number + 1}: "
        return ConfigError(f"rubric {path}, line {line}: {which}{fault}")

    try:
        rows, column = _file_content(content)
    except _Fault as fault:
        raise refuse(fault) from fault
    found: list[Criterion] = []
    for number, row in enumerate(rows):
        try:
            criterion = _criterion(row)
            if any(criterion.recorded_name == other.recorded_name for other in found):
                raise _Fault(f"the name {criterion.name!r} is given twice", "name")
        except _Fault as fault:
            raise refuse(fault, number) from fault
        found.append(criterion)
    return RubricFile(tuple(found), column)


def _file_content(content: Any) -> tuple[list[Any], str | None]:
    if not isinstance(content, dict):
        raise _Fault("a rubric is a list of criteria, or an object with the key criteria")
    unknown = min(content.keys() - _FILE_KEYS, default=None)
    if unknown is not None:
        raise _Fault(f"unknown key {unknown!r}; there are {', '.join(sorted(_FILE_KEYS))}", unknown)
    rows, column = content.get("criteria", []), content.get("column")
    if not isinstance(rows, list):
        raise _Fault("criteria must be a list", "criteria")
    if column is not None and not (isinstance(column, str) and column):
        raise _Fault("column must be the name of a column of the data", "column")
    if not rows and column is None:
        raise _Fault("it has no criteria; write [[criteria]] with a text, or name a column of the data")
    return rows, column


def _criterion(row: Any) -> Criterion:
    row = {"text": row} if isinstance(row, str) else row
    if not isinstance(row, dict):
        raise _Fault("a criterion is a text, or an object with the key text")
    unknown = min(row.keys() - _KEYS, default=None)
    if unknown is not None:
        raise _Fault(f"unknown key {unknown!r}; there are {', '.join(sorted(_KEYS))}", unknown)
    text = next((row[key] for key in _TEXT if key in row), None)
    if not isinstance(text, str) or not text.strip():
        raise _Fault("it has no text", "text")
    key = next((key for key in _WEIGHT if key in row), "weight")
    weight = row.get(key, 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
        raise _Fault(f"{key} is {weight!r}; it must be a number", key)
    if weight == 0:
        raise _Fault(f"{key} is 0, so it counts for nothing; leave it out", key)
    name = row.get("name", text.strip())
    if not isinstance(name, str) or not name.strip():
        raise _Fault("name must be a text", "name")
    return Criterion(name.strip(), text.strip(), float(weight), _levels(row))


def _levels(row: Mapping[str, Any]) -> tuple[str, ...]:
    levels = row.get("levels", [])
    if not isinstance(levels, list) or not all(isinstance(each, str) and each.strip() for each in levels):
        raise _Fault("levels must be a list of texts, the lowest first", "levels")
    if levels and not 2 <= len(levels) <= MOST_LEVELS:
        raise _Fault(f"levels has {len(levels)}; a scale has 2 to {MOST_LEVELS}", "levels")
    return tuple(level.strip() for level in levels)


def _line_of(text: str, number: int | None, key: str | None, *, is_json: bool) -> int:
    """Return the line of *key* in criterion *number*, or in the file; of its beginning if it has no key."""
    start, end = 0, len(text)
    if number is not None:
        start, end = (_json_span if is_json else _toml_span)(text, number)
    if key is not None:
        found = re.compile(rf"""["']?{re.escape(key)}["']?\s*[=:]""").search(text, start, end)
        start = found.start() if found else start
    return text.count("\n", 0, start) + 1


def _toml_span(text: str, number: int) -> tuple[int, int]:
    """Return where criterion *number* begins and ends, of ``[[criteria]]`` tables."""
    places = [found.start() for found in re.finditer(r"^[ \t]*\[\[\s*criteria\s*\]\]", text, re.MULTILINE)]
    if number < len(places):
        return places[number], places[number + 1] if number + 1 < len(places) else len(text)
    inline = re.search(r"^[ \t]*criteria\s*=", text, re.MULTILINE)
    return (inline.start() if inline else 0), len(text)


def _json_span(text: str, number: int) -> tuple[int, int]:
    """Return where element *number* of the list of criteria begins and ends."""
    decoder, blank = json.JSONDecoder(), re.compile(r"[\s,]*")
    begin = re.search(r'"criteria"\s*:\s*\[', text) or re.search(r"\[", text)
    place = begin.end() if begin else 0
    for _ in range(number):
        _, place = decoder.raw_decode(text, _after(blank, text, place))
    place = _after(blank, text, place)
    return place, decoder.raw_decode(text, place)[1]


def _after(pattern: re.Pattern[str], text: str, place: int) -> int:
    found = pattern.match(text, place)
    return found.end() if found else place
