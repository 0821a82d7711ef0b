"""Exact probabilities of the grades, from a scoring endpoint and without a generated reply."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpo.http import HttpClient
from tpo.http.model_cards import ModelCard
from tpo.rewards.decisions.scoring import ScoringEndpoint
from tpo.rewards.decisions.tokens import text_ids
from tpo.rewards.judge.verdict import JudgeReply
from tpo.rewards.judge.wording import HIGHEST, LOWEST
from tpo.types import Message

GRADES = tuple(str(grade) for grade in range(LOWEST, HIGHEST + 1))


class ScaleScorer:
    """Reads the grade's probabilities as the token after ``{"score": ``, as if the judge had begun its reply.

    The server behind *client* has a scoring endpoint or not; the first call tells.
    """

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._endpoint = ScoringEndpoint(client)
        self._split: tuple[list[int], list[int]] | None = None

    async def reply(self, card: ModelCard, messages: Sequence[Message]) -> JudgeReply | None:
        """Return the likeliest grade with the probabilities of all; None where the server gives none.

        Raises:
            HttpFailure: the server did not answer, or the prompt exceeds its context.
        """
        if self._split is None:
            self._split = await self._find_split(card.name)
            if self._split is None:
                return None
        begun, grades = self._split
        found = await self._endpoint.next_token(card, messages, grades, begun=begun)
        if found is None or not any(found.chances):
            return None
        chances = dict(zip(GRADES, found.chances, strict=True))
        best = max(GRADES, key=lambda grade: chances[grade])
        rows = [{"token": grade, "logprob": math.log(p)} for grade, p in chances.items() if p > 0]
        return JudgeReply(best, ({"token": best, "top_logprobs": rows},), found.tokens)

    async def _find_split(self, model: str) -> tuple[list[int], list[int]] | None:
        """Return the tokens before the grade and the token of each grade; None if they are not apart."""
        replies = await text_ids(self._client, model, [f'{{"score": {grade}}}' for grade in GRADES])
        if replies is None or len({len(ids) for ids in replies}) != 1:
            return None
        apart = [place for place, tokens in enumerate(zip(*replies, strict=True)) if len(set(tokens)) > 1]
        if len(apart) != 1 or len({ids[apart[0]] for ids in replies}) != len(GRADES):
            return None
        return replies[0][: apart[0]], [ids[apart[0]] for ids in replies]
