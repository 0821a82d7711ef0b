"""A reward by checks: the share of them that a response passes."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from statistics import fmean

from tpo.errors import RewardError
from tpo.rewards.calibration import UNIT_SCALE
from tpo.rewards.values import place
from tpo.types import Messages, Query, Scope, Score

Check = Callable[[str, Query], Awaitable[Mapping[str, bool]]]
"""Returns which checks a response to a query passes, by name; a ``ValueError`` says what its row lacks."""


class VerifierReward:
    """The share of its checks that a response passes; a score's ``criteria`` hold each of them.

    *checks* reads what to check from the query's row, and is given one without columns where a call brings
    none. *columns* are those that it reads, as :meth:`tpo.registry.ModelSpec.columns` gives them.
    """

    scale = UNIT_SCALE
    """Its scale in an ensemble: known, so it is not measured."""

    def __init__(self, checks: Check, name: str, columns: Mapping[str, bool] | None = None) -> None:
        self._checks = checks
        self.columns = columns or {}
        self.name = name
        self.identity = f"{name} {getattr(checks, '__qualname__', checks)!r}"
        """Tells it from others when a run is resumed."""

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the share of the checks that *response* passes.

        Raises:
            RewardError: the row does not say what to check.
            RewardRefused: the checks cannot be run here.
        """
        query = scope.data if scope.data is not None else Query(scope.query, messages)
        try:
            passed = await self._checks(response, query)
            if not passed:
                raise ValueError("there is nothing to check")
        except ValueError as error:
            raise RewardError(f"{place(scope)}: {self.name}: {error}") from error
        criteria = {name: float(each) for name, each in passed.items()}
        return Score(fmean(criteria.values()), criteria=criteria)


def numbered(names: list[str]) -> list[str]:
    """Return *names* with a number behind each that occurred before."""
    return [
        name if name not in names[:at] else f"{name} ({names[: at + 1].count(name)})"
        for at, name in enumerate(names)
    ]


def column_of(query: Query, column: str) -> object:
    """Return the value of a query's *column*.

    Raises:
        ValueError: it has none.
    """
    if query.metadata.get(column) is None:
        there = ", ".join(sorted(query.metadata)) or "none"
        raise ValueError(f"the row has no column {column!r}; it has {there}")
    value: object = query.metadata[column]
    return value


def texts_of(query: Query, column: str, *, any_list: bool = False) -> list[str]:
    """Return the texts of a query's *column*: a text, a list of texts, or such a list as JSON, as in CSV.

    With *any_list* every list in JSON is one, so that one of other values is refused; else it is a text.

    Raises:
        ValueError: it holds neither, or there is no such column.
    """
    value = column_of(query, column)
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            found: object = json.loads(value)
            if _texts(found) or (any_list and isinstance(found, list)):
                value = found
    texts = [value] if isinstance(value, str) else _texts(value)
    if not texts:
        raise ValueError(f"column {column!r} holds neither a text nor a list of texts")
    return texts


def _texts(value: object) -> list[str] | None:
    """Return *value* if it is a list of texts."""
    return value if isinstance(value, list) and all(isinstance(each, str) for each in value) else None
