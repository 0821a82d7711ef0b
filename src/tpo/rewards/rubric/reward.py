"""A reward by a rubric: the weighted probabilities that a response meets its criteria."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tpo.errors import ConfigError, RewardError
from tpo.rewards.calibration import UNIT_SCALE
from tpo.rewards.decisions.endpoint import NO, YES, Decision, DecisionServer, Fit
from tpo.rewards.decisions.fitting import SPARE_TOKENS, CutWarning, needed_cut
from tpo.rewards.decisions.labels import LabelAnswer
from tpo.rewards.decisions.model import DecisionModel
from tpo.rewards.rubric.criteria import Criterion, RubricFile, row_criteria, weighted_degree
from tpo.rewards.rubric.material import Material
from tpo.rewards.values import place
from tpo.types import Messages, Scope, Score, user

ORDERS = ((YES, NO), (NO, YES))


class RubricReward:
    """The weighted sum of the criteria's degrees, by the most that it can be; 1 meets all of them.

    Every criterion is a question to a language model, answered with a probability: see
    :mod:`tpo.rewards.decisions.endpoint` for the ways in which a server is asked. A score's ``criteria`` hold
    the degree of each.

    Args:
        urls: one server or several of the same model.
        rubric: criteria, or a file's content; see :func:`tpo.rewards.rubric.criteria.read_rubric_file`.
        options: those of :class:`tpo.rewards.decisions.model.DecisionModel`.

    Raises:
        ConfigError: a URL is none, or there is no criterion.
    """

    scale = UNIT_SCALE
    """Its scale in an ensemble: known, so it is not measured."""

    def __init__(
        self, urls: str | Sequence[str], rubric: RubricFile | Sequence[Criterion], **options: Any
    ) -> None:
        self.rubric = rubric if isinstance(rubric, RubricFile) else RubricFile(tuple(rubric))
        if not self.rubric.criteria and self.rubric.column is None:
            raise ConfigError("a rubric needs at least one criterion")
        self.model = DecisionModel(urls, **options)
        digest = hashlib.sha256(repr(self.rubric).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._warning = CutWarning("rubric")
        self.columns = self.rubric.columns
        """Columns of the data that it reads."""
        self.identity = f"rubric {digest} by {self.model.identity}"
        """Tells it from others when a run is resumed."""

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the score of *response*, with the degree of every criterion.

        Raises:
            RewardError: neither the row's criteria nor a reply can be read.
            RewardUnavailable: no server answered.
            RewardRefused: none will answer: a wrong key, an unknown model.
        """
        criteria = self.criteria_of(scope)
        decisions = [each.decision() for each in criteria]
        answers, fit = await self._decide(messages, response, decisions, scope)
        self._warning.tell(fit.lost, fit.context, place(scope))
        degrees = [each.degree(one.probabilities) for each, one in zip(criteria, answers, strict=True)]
        return Score(
            weighted_degree(criteria, degrees),
            tokens=sum(answer.tokens for answer in answers),
            truncated_tokens=fit.lost,
            criteria=_recorded(criteria, degrees),
        )

    async def order_shifts(self, messages: Messages, response: str, scope: Scope) -> dict[str, float]:
        """Return by criterion how much likelier yes is where it is listed before no: the order bias.

        Scales are left out. Raises as :meth:`score`.
        """
        found = await self.yes_in_both_orders(messages, response, scope)
        return {name: first - second for name, (first, second) in found.items()}

    async def yes_in_both_orders(
        self, messages: Messages, response: str, scope: Scope
    ) -> dict[str, tuple[float, float]]:
        """Return by criterion the probability of yes where it is listed before no, and after it.

        Scales are left out. Raises as :meth:`score`.
        """
        criteria = [each for each in self.criteria_of(scope) if not each.levels]
        if not criteria:
            return {}
        orders = [replace(each.decision(), order=order) for order in ORDERS for each in criteria]
        answers, _ = await self._decide(messages, response, orders, scope)
        yes = [answer.probabilities[YES] for answer in answers]
        first, second = yes[: len(criteria)], yes[len(criteria) :]
        return {each.name: (a, b) for each, a, b in zip(criteria, first, second, strict=True)}

    def criteria_of(self, scope: Scope) -> tuple[Criterion, ...]:
        """Return the criteria for the scope's query: the file's, and those of the query's row.

        Raises:
            RewardError: the row has no such column, or a fault in it.
        """
        column = self.rubric.column
        if column is None:
            return self.rubric.criteria
        row = scope.data.metadata if scope.data is not None else {}
        if column not in row:
            there = ", ".join(sorted(row)) or "none"
            raise RewardError(f"{place(scope)}: the row has no column {column!r}; it has {there}")
        try:
            return (*self.rubric.criteria, *row_criteria(row[column], column))
        except ValueError as error:
            raise RewardError(f"{place(scope)}: {error}") from error

    async def _decide(
        self, messages: Messages, response: str, decisions: Sequence[Decision], scope: Scope
    ) -> tuple[list[LabelAnswer], Fit]:
        try:
            material = Material.of(messages, response)
            return await self.model.ask(lambda server: _answers(server, material, decisions), scope)
        except ValueError as error:
            raise RewardError(f"{place(scope)}: {error}") from error

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self.model.aclose()


async def _answers(
    server: DecisionServer, material: Material, decisions: Sequence[Decision]
) -> tuple[list[LabelAnswer], Fit]:
    """Return the answers, and the tokens left out of a conversation that does not fit."""
    longest = max((decision.prompt for decision in decisions), key=len)

    async def attempt(context: int | None) -> tuple[list[LabelAnswer], Fit]:
        cut = lost = 0
        if context is not None:
            room = context - server.reply_tokens(context) - SPARE_TOKENS
            cut, lost = await needed_cut(
                lambda cut: [user(f"{material.text(cut)}\n\n{longest}")],
                *(len(material.conversation), room, server.count),
            )
        return await server.decide(material.text(cut), decisions), Fit(lost, context)

    return await server.within_context(attempt)


def _recorded(criteria: Sequence[Criterion], degrees: Sequence[float]) -> dict[str, float]:
    """Return the degrees by the criteria's names, larger being better; equal names are numbered."""
    found: dict[str, float] = {}
    for number, (each, degree) in enumerate(zip(criteria, degrees, strict=True), 1):
        name = each.recorded_name
        found[f"{name} ({number})" if name in found else name] = 1 - degree if each.weight < 0 else degree
    return found
