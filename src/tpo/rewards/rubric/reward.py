"""A reward by a rubric: the weighted probabilities that a response meets its criteria."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tpo.errors import ConfigError, RewardError
from tpo.http import HttpFailure
from tpo.rewards.decisions.endpoint import DecisionServer
from tpo.rewards.decisions.labels import LabelAnswer
from tpo.rewards.decisions.model import DecisionModel
from tpo.rewards.rubric.criteria import Criterion, RubricFile, row_criteria, weighted_degree
from tpo.rewards.rubric.material import Material, TooLong, fitted_text
from tpo.rewards.values import place
from tpo.types import Messages, Scope, Score


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

    def __init__(
        self, urls: str | Sequence[str], rubric: RubricFile | Sequence[Criterion], **options: Any
    ) -> None:
        self.rubric = rubric if isinstance(rubric, RubricFile) else RubricFile(tuple(rubric))
        if not self.rubric.criteria and self.rubric.column is None:
            raise ConfigError("a rubric needs at least one criterion")
        self.model = DecisionModel(urls, **options)

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the score of *response*, with the degree of every criterion.

        Raises:
            RewardError: neither the row's criteria nor a reply can be read.
            RewardUnavailable: no server answered.
            RewardRefused: none will answer: a wrong key, an unknown model.
        """
        try:
            criteria = self.criteria_of(scope)
            material = Material.of(messages, response)
        except ValueError as error:
            raise RewardError(f"{place(scope)}: the rubric cannot be applied: {error}") from error

        async def attempt(server: DecisionServer) -> tuple[list[LabelAnswer], int]:
            return await _answers(server, material, criteria)

        try:
            answers, cut = await self.model.ask(attempt, scope)
        except TooLong as error:
            raise RewardError(f"{place(scope)}: {error}") from error
        pairs = list(zip(criteria, answers, strict=True))
        degrees = [each.degree(answer.probabilities) for each, answer in pairs]
        return Score(
            weighted_degree(criteria, degrees),
            tokens=sum(answer.tokens for answer in answers),
            truncated_tokens=cut,
            criteria=_recorded(criteria, degrees),
        )

    def criteria_of(self, scope: Scope) -> tuple[Criterion, ...]:
        """Return the criteria for the scope's query: the file's, and those of the query's row.

        Raises:
            ValueError: the row has no such column, or a fault in it.
        """
        column = self.rubric.column
        if column is None:
            return self.rubric.criteria
        row = scope.data.metadata if scope.data is not None else {}
        if column not in row:
            raise ValueError(f"the row has no column {column!r}; it has {', '.join(sorted(row)) or 'none'}")
        return (*self.rubric.criteria, *row_criteria(row[column], column))

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self.model.aclose()


async def _answers(
    server: DecisionServer, material: Material, criteria: Sequence[Criterion]
) -> tuple[list[LabelAnswer], int]:
    """Return the answers and the tokens left out; a context that a refusal names is kept, and fitted to."""
    decisions = [each.decision() for each in criteria]
    while True:
        context = await server.context()
        text, cut = await fitted_text(server, material, decisions, context)
        try:
            return await server.decide(text, decisions), cut
        except HttpFailure as failure:
            if not server.learn_context(failure, context):
                raise


def _recorded(criteria: Sequence[Criterion], degrees: Sequence[float]) -> dict[str, float]:
    """Return the degrees by the criteria's names, larger being better; equal names are numbered."""
    found: dict[str, float] = {}
    for number, (each, degree) in enumerate(zip(criteria, degrees, strict=True), 1):
        name = each.recorded_name
        found[f"{name} ({number})" if name in found else name] = 1 - degree if each.weight < 0 else degree
    return found
