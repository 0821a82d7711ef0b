"""What the reference's flags name is what is built."""

from pathlib import Path

import pytest

from tests.models import save_reward
from tpo.config import make_method
from tpo.contrib.reference.arguments import Arguments, parse
from tpo.contrib.reference.models import make_reward, make_settings, reward_name
from tpo.errors import ConfigError
from tpo.rewards.hf import HFReward
from tpo.types import Scope, user


def with_reward(name: str) -> Arguments:
    return parse(["--data_path", "a.json", "--ip", "localhost", "--reward_model", name])


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("sfairXC/FsfairX-LLaMA3-RM-v0.1", "hf:sfairXC/FsfairX-LLaMA3-RM-v0.1"),
        ("/mnt/models/reward", "hf:/mnt/models/reward"),
        ("hf:org/name", "hf:org/name"),
        ("tiny", "tiny"),
        ("python:scores:length", "python:scores:length"),
    ],
)
def test_an_id_or_a_path_is_a_classifier(name: str, named: str) -> None:
    assert reward_name(with_reward(name)) == named


async def test_a_classifier_is_loaded_and_scores(tmp_path: Path) -> None:
    reward = make_reward(with_reward(str(save_reward(tmp_path / "reward"))))
    assert isinstance(reward, HFReward)
    score = await reward.score((user("Why?"),), "Because.", Scope("q0", 0, "reward", 0))
    assert score.tokens > 0
    await reward.aclose()


def test_a_reward_that_is_not_supported_says_so() -> None:
    with pytest.raises(ConfigError):
        make_reward(with_reward("hf:"))


@pytest.mark.parametrize(
    ("mode", "recipe", "iterations"),
    [("tpo", "paper", 5), ("revision", "paper-revision", 5), ("bon", "paper-bon", 0)],
)
def test_a_mode_is_a_recipe_in_the_papers_layout(mode: str, recipe: str, iterations: int) -> None:
    arguments = parse(["--data_path", "a.json", "--ip", "localhost", "--tpo_mode", mode])
    found = make_method(make_settings(arguments))
    assert (found.name, found.max_iterations, found.sample_size) == (recipe, iterations, 5)
    assert (found.temperature, found.top_p, found.critique_top_p, found.max_tokens) == (0.7, 0.95, 0.99, 2048)
