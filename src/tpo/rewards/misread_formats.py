"""Scores of the right weights for conversations misread in the ways that servers are known for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from tpo.inprocess.chat import ChatTokenizer
from tpo.rewards.diagnosis import Fault
from tpo.rewards.golden import Golden
from tpo.rewards.hf import HFReward
from tpo.types import assistant

Reading = tuple[int, ...]


async def misread_scores(reward: HFReward, golden: Sequence[Golden]) -> dict[Fault, list[list[float]]]:
    """For each fault, and each way to it, the scores that *golden* would get: for :func:`check_golden`.

    Raises:
        RewardError: the model fails on one of them.
    """
    readings = [dict(_misreadings(reward.chat, one)) for one in golden]
    shared = [way for way in readings[0] if all(way in reading for reading in readings)] if readings else []
    rows = await asyncio.gather(
        *(asyncio.gather(*(reward.score_ids(reading[way]) for reading in readings)) for way in shared)
    )
    found: dict[Fault, list[list[float]]] = {}
    for (fault, _), row in zip(shared, rows, strict=True):
        found.setdefault(fault, []).append(list(row))
    return found


def _misreadings(chat: ChatTokenizer, one: Golden) -> Iterator[tuple[tuple[Fault, str], Reading]]:
    """The wrong readings of *one*, by fault and way."""
    turns = (*one.messages, assistant(one.response))
    right = tuple(chat.conversation_ids(turns))
    if chat.start is not None:
        bare = right[1:] if right[0] == chat.start else right
        for count in {0, 1, 2} - {len(right) - len(bare)}:
            yield ("start token", f"{count} times"), (chat.start,) * count + bare
    opened = tuple(chat.prompt_ids(turns))
    if opened != right:
        yield ("template", "another turn is opened"), opened
