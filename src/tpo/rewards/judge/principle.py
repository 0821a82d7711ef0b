"""A model that says whether a response fulfils a principle: the log-odds of Yes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tpo.errors import RewardError
from tpo.inprocess.chat import plain
from tpo.rewards.decisions.labels import LabelQuestion
from tpo.rewards.decisions.model import DecisionModel
from tpo.rewards.values import place
from tpo.types import Messages, Scope, Score, assistant, user

YES, NO = "Yes", "No"
LARGEST = 20.0
"""Bound of the log-odds, which are infinite where all votes agree."""

_QUESTION = """\
Does your last response fulfil this principle?

{principle}

Answer with one word and nothing else: Yes or No."""


class PrincipleReward:
    """log P(Yes) - log P(No) as the next token after a question about *principle*.

    So are principle reward models trained (Wang et al. 2025, arXiv 2509.21319); any chat model can be asked.
    The conversation and the response are turns of the model's own. *urls* and *options* are those of
    :class:`tpo.rewards.decisions.model.DecisionModel`.
    """

    def __init__(self, urls: str | Sequence[str], *, principle: str, **options: Any) -> None:
        self.model = DecisionModel(urls, **options)
        self.principle = principle
        self.identity = f"principle {principle!r} by {self.model.identity}"
        """Tells it from others when a run is resumed."""

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the log-odds of *response*.

        Raises:
            RewardError: no reply could be read; RewardUnavailable: no server answered.
            RewardRefused: none will answer: a wrong key, an unknown model.
        """
        request = user(_QUESTION.format(principle=self.principle.strip()))
        try:
            turns = [plain(turn) for turn in (*messages, assistant(response), request)]
        except ValueError as error:
            raise RewardError(f"{place(scope)}: the reward model cannot read it ({error})") from error
        question = LabelQuestion(tuple(turns), (YES, NO))  # type: ignore[arg-type] # plain turns are messages
        answer = await self.model.label(question, scope)
        yes, no = (answer.probabilities[label] for label in (YES, NO))
        odds = math.log(yes) - math.log(no) if min(yes, no) > 0 else math.inf * (yes - no)
        return Score(max(-LARGEST, min(LARGEST, odds)), tokens=answer.tokens)

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self.model.aclose()
