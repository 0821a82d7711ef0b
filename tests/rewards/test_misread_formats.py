"""A model that is read wrongly is told by what the right weights say of that reading."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.models import save_reward
from tpo.rewards.golden import check_golden, golden_scores
from tpo.rewards.hf import HFReward
from tpo.rewards.misread_formats import misread_scores
from tpo.types import Messages, Scope, Score, assistant


class Misreader:
    """Reads as *reward* does, but for *extra* start tokens, or the opening of another turn."""

    def __init__(self, reward: HFReward, extra: int, opens: bool) -> None:
        self.reward, self.extra, self.opens = reward, extra, opens

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        turns = (*messages, assistant(response))
        chat = self.reward.chat
        assert chat.start is not None
        ids = chat.prompt_ids(turns) if self.opens else chat.conversation_ids(turns)
        ids = [chat.start] * self.extra + ids if self.extra >= 0 else ids[1:]
        return Score(await self.reward.score_ids(ids))  # no count of tokens: the scores alone must tell


@pytest.mark.parametrize(
    ("extra", "opens", "fault"),
    [(0, False, "none"), (1, False, "start token"), (-1, False, "start token"), (0, True, "template")],
)
async def test_each_misreading_is_named(tmp_path: Path, extra: int, opens: bool, fault: str) -> None:
    reward = HFReward(save_reward(tmp_path))
    golden = await golden_scores(reward)
    comparison = await check_golden(
        Misreader(reward, extra, opens), golden, await misread_scores(reward, golden)
    )
    await reward.aclose()
    assert comparison.fault == fault, str(comparison)
