"""A model that says whether a response fulfils a principle: the log-odds of Yes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tpo.errors import RewardError
from tpo.inprocess.chat import plain
from tpo.rewards.decisions.fitting import CutWarning, without_start
from tpo.rewards.decisions.model import DecisionModel
from tpo.rewards.values import place
from tpo.types import Message, Messages, Scope, Score, assistant, plain_text, user

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
    The conversation and the response are turns of the model's own. A prompt of more than *context* tokens,
    or than the server reads, loses the beginning of the conversation. *urls* and *options* are those of
    :class:`tpo.rewards.decisions.model.DecisionModel`.
    """

    def __init__(
        self, urls: str | Sequence[str], *, principle: str, context: int | None = None, **options: Any
    ) -> None:
        self.model = DecisionModel(urls, **options)
        self.principle = principle
        self._context = context
        self._warning = CutWarning("principle reward")
        self.identity = f"principle {principle!r} by {self.model.identity}"
        """Tells it from others when a run is resumed."""

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the log-odds of *response*.

        Raises:
            RewardError: no reply could be read, or the response exceeds the context; RewardUnavailable: no
                server answered.
            RewardRefused: none will answer: a wrong key, an unknown model.
        """
        request = user(_QUESTION.format(principle=self.principle.strip()))
        try:
            turns: Any = [plain(turn) for turn in messages]
            answer, fit = await self.model.ask(
                lambda server: server.ask_fitted(
                    lambda cut: (*without_first_turns(turns, cut), assistant(response), request),
                    sum(len(turn["content"]) for turn in turns),
                    (YES, NO),
                    limit=self._context,
                ),
                scope,
            )
        except ValueError as error:
            raise RewardError(f"{place(scope)}: the reward model cannot read it ({error})") from error
        self._warning.tell(fit.lost, fit.context, place(scope))
        yes, no = (answer.probabilities[label] for label in (YES, NO))
        odds = math.log(yes) - math.log(no) if min(yes, no) > 0 else math.inf * (yes - no)
        value = max(-LARGEST, min(LARGEST, odds))
        return Score(value, tokens=answer.tokens, truncated_tokens=fit.lost)

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self.model.aclose()


def without_first_turns(turns: Sequence[Message], cut: int) -> list[Message]:
    """Return plain *turns* without their first *cut* characters; the first turn left is one of the user."""
    left = list(turns)
    while len(left) > 1 and (cut >= len(plain_text(left[0])) or (cut and left[0]["role"] != "user")):
        cut = max(0, cut - len(plain_text(left.pop(0))))
    while len(left) > 1 and left[0]["role"] == "assistant":
        left.pop(0)
    return [user(without_start(plain_text(left[0]), cut)), *left[1:]] if cut else left
