"""A language model that compares two responses: the probability that the first is better."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tpo.errors import RewardError
from tpo.rewards.decisions.endpoint import Fit
from tpo.rewards.decisions.fitting import CutWarning, without_start
from tpo.rewards.decisions.labels import LabelAnswer
from tpo.rewards.decisions.model import DecisionModel
from tpo.rewards.judge.comparison import PairComparison
from tpo.rewards.judge.pair_formats import LETTER
from tpo.rewards.judge.profiles import profile_of
from tpo.rewards.judge.wording import DEFAULT_RUBRIC, conversation_json
from tpo.types import Message, Query, Scope, Usage


class PairwiseJudge:
    """Compares two responses by *criteria*, in both orders unless *both_orders* is off.

    Judges prefer a place (Zheng et al. 2023, arXiv 2306.05685, section 3.3); the mean over both orders takes
    that out. A model whose name has a profile (:mod:`tpo.rewards.judge.profiles`) is asked in its family's
    format. A conversation that does not fit into the context loses its beginning. *urls* and *options* are
    those of :class:`tpo.rewards.decisions.model.DecisionModel`.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        criteria: str = DEFAULT_RUBRIC,
        both_orders: bool = True,
        **options: Any,
    ) -> None:
        profile = profile_of(options.get("model"))
        self.format = LETTER if profile is None or profile.pair is None else profile.pair
        """Format of a comparison: the prompt, and the verdict that is read."""
        self._context = None if profile is None else profile.context
        if profile is not None and profile.pair is not None:
            options.setdefault("thinks", True)
        self.model = DecisionModel(urls, noun="judge", **options)
        self._warning = CutWarning("judge")
        self.criteria = criteria
        self.both_orders = both_orders

    async def check(self) -> str:
        """Check that a server answers, and serves the model; return the model's name there.

        Raises:
            RewardError: none does.
        """
        return await self.model.check()

    async def compare(self, query: Query, first: str, second: str) -> float:
        """Return the probability that *first* is a better response to *query* than *second*.

        Raises:
            RewardError: no reply could be read; RewardUnavailable: no server answered.
            RewardRefused: none will answer: a wrong key, an unknown model.
        """
        return (await self.comparison(query, first, second)).probability

    async def comparison(self, query: Query, first: str, second: str) -> PairComparison:
        """Return the same with the order bias and the cost; equal texts are not sent.

        Raises:
            RewardError, RewardUnavailable, RewardRefused: as :meth:`compare`.
        """
        if first == second:
            return PairComparison(0.5)
        orders = [(first, second), (second, first)] if self.both_orders else [(first, second)]
        scope = Scope(query.id, 0, "reward")
        try:
            conversation = conversation_json(query.messages)
            found = await asyncio.gather(*(self._ask(conversation, *order, scope) for order in orders))
        except ValueError as error:
            raise RewardError(f"query {query.id!r}: the judge cannot read it ({error})") from error
        answers = [answer for answer, _ in found]
        for _, fit in found:
            self._warning.tell(fit.lost, fit.context, f"query {query.id!r}")
        first_label, second_label = self.format.labels
        shown_first = answers[0].probabilities[first_label]
        shown_second = answers[-1].probabilities[second_label] if self.both_orders else shown_first
        usage = sum((answer.usage for answer in answers), Usage())
        return PairComparison((shown_first + shown_second) / 2, shown_first - shown_second, usage)

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self.model.aclose()

    async def _ask(self, conversation: str, one: str, other: str, scope: Scope) -> tuple[LabelAnswer, Fit]:
        def build(cut: int) -> Sequence[Message]:
            return self.format.prompt(self.criteria.strip(), without_start(conversation, cut), one, other)

        return await self.model.ask(
            lambda server: server.ask_fitted(
                build,
                len(conversation),
                self.format.labels,
                limit=self._context,
                second_turn=self.format.second_turn,
            ),
            scope,
        )
