"""Checks of a rubric and of a verifier: the order of yes and no, and rewards that read the data's columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doctor.values import make_setup
from tests.rewards.decisions.decision_server import DecisionServer
from tpo.config import load_settings
from tpo.doctor.data import check_data
from tpo.doctor.finding import Finding
from tpo.doctor.reward import check_reward_order
from tpo.doctor.setup import CheckState, Setup
from tpo.rewards.rubric import RubricReward
from tpo.rewards.rubric.criteria import Criterion
from tpo.rewards.scripted import ScriptedReward


async def findings(setup: Setup) -> dict[str, Finding]:
    found: list[Finding] = []
    state = CheckState(found.append, reward=setup.reward())
    await check_reward_order(setup, state)
    return {finding.check: finding for finding in found}


@pytest.mark.parametrize(("shift", "status"), [(0.04, "good"), (0.3, "warning")])
async def test_the_shift_between_the_orders_of_yes_and_no_is_told(shift: float, status: str) -> None:
    def likes_the_first(prompt: str) -> Mapping[str, float]:
        yes = 0.5 if "no, yes" in prompt else 0.5 + shift
        return {"yes": yes, "no": 1 - yes}

    async with DecisionServer(likes_the_first).up() as url:
        reward = RubricReward(url, [Criterion("kind", "kind")])
        found = (await findings(make_setup(reward=reward)))["rubric's order"]
        await reward.aclose()
    assert found.status == status
    assert f"move by {shift:.2f} on average" in found.sentence


async def test_a_reward_that_reads_columns_is_not_tried_on_the_probes() -> None:
    reward = ScriptedReward()
    found = await findings(make_setup(reward=reward, gate=["verify:ifeval"]))
    assert found["reward order"].status == "unknown"
    assert "verify:ifeval reads columns" in found["reward order"].sentence
    assert reward.calls == []


async def test_data_without_a_column_that_the_reward_needs_is_a_failure(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"prompt": "a", "patern": "x"}\n', "utf-8")
    found: list[Finding] = []
    setup = make_setup(data=str(data))
    settings = load_settings({"reward": ["verify:regex"]}, {})
    await check_data(replace(setup, settings=settings), CheckState(found.append))
    (finding,) = found
    assert finding.status == "failure"
    assert "verify:regex reads the column 'pattern'" in finding.sentence
    assert "the data has patern" in finding.sentence
