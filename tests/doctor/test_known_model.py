"""Check of the reward against the table of known reward models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.doctor.values import make_setup
from tests.known_models import save_known
from tests.rewards.vllm.pooling_server import PoolingServer
from tpo.config import load_settings
from tpo.doctor.finding import Finding
from tpo.doctor.known_model import CHECK, check_known_model
from tpo.doctor.setup import CheckState
from tpo.rewards.base import Reward
from tpo.rewards.hf import HFReward
from tpo.rewards.known_models import KNOWN_MODELS
from tpo.rewards.scripted import ScriptedReward
from tpo.rewards.vllm import VLLMReward
from tpo.types import Query, system, user

SKYWORK = KNOWN_MODELS[0]


async def findings(reward: Reward, name: str, query: Query | None = None) -> list[Finding]:
    found: list[Finding] = []
    setup = replace(make_setup(), settings=load_settings({"reward": [name]}, {}))
    await check_known_model(setup, CheckState(found.append, reward=reward, query=query))
    assert {finding.check for finding in found} <= {CHECK}
    return found


async def test_a_known_model_is_compared_with_its_row(tmp_path: Path) -> None:
    folder = save_known(tmp_path / "Skywork-Reward-V2-Llama-3.2-1B", SKYWORK)
    plain, with_system = (
        Query("q", (user("Hi"),)),
        Query("q", (system("Be brief."), user("Hi"))),
    )
    reward = HFReward(folder, device="cpu")
    (found,) = await findings(reward, f"hf:{folder}", plain)
    assert found.status == "good"
    assert "Skywork-Reward-V2 (Llama)" in found.sentence
    assert "which scores 23, 3.59375" in found.sentence
    _, told = await findings(reward, f"hf:{folder}", with_system)
    assert (told.status, "without a system turn" in told.sentence) == ("warning", True)
    other = save_known(tmp_path / "Skywork-Reward-V2-Qwen3-4B", SKYWORK)  # the wrong tokenizer for that name
    (wrong,) = await findings(HFReward(other, device="cpu"), f"hf:{other}", plain)
    assert wrong.status == "warning"
    assert "1 start tokens instead of 0" in wrong.sentence


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
async def test_a_model_that_its_server_cannot_score_is_warned_of(kind: str) -> None:
    async with PoolingServer(model="ArmoRM-Llama3-8B-v0.1", files=None).up() as url:
        (found,) = await findings(ScriptedReward(), f"{kind}:{url}")
    assert found.status == "warning"
    assert f"ArmoRM is not for --reward {kind}" in found.sentence
    assert "has no class of this name" in found.sentence


async def test_a_model_that_sglang_scores_and_vllm_does_not_is_no_warning() -> None:
    async with PoolingServer(model="URM-LLaMa-3.1-8B", files=None).up() as url:
        (found,) = await findings(ScriptedReward(), f"sglang:{url}")
    assert found.status == "unknown"


async def test_a_served_model_is_checked_by_the_files_that_its_server_names(tmp_path: Path) -> None:
    folder = save_known(tmp_path / "Skywork-Reward-V2-Llama-3.1-8B", SKYWORK)
    async with PoolingServer(files=str(folder)).up() as url:
        reward = VLLMReward(url)
        await reward.check()
        (found,) = await findings(reward, f"vllm:{url}")
        await reward.aclose()
    assert found.status == "good"


async def test_a_served_model_without_a_tokenizer_here_is_told_to_be_unchecked() -> None:
    async with PoolingServer(model="Skywork-Reward-V2-Qwen3-4B", files=None).up() as url:
        (found,) = await findings(ScriptedReward(), f"vllm:{url}")
    assert found.status == "unknown"


@pytest.mark.parametrize("name", ["hf:ORG/other", "python:tests.cli.values:length_of", "tiny"])
async def test_nothing_is_told_of_others(name: str) -> None:
    assert await findings(ScriptedReward(), name) == []
