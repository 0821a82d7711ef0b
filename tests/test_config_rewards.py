"""Which rewards names make, alone and together, and what may not change of them in a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.custom_code import save_gated_reward
from tpo.config import build_reward, check_identity, load_reward, load_settings, reward_identity, reward_of
from tpo.config.settings import Settings
from tpo.config.specs import check_names
from tpo.entry_points import REWARDS
from tpo.errors import ConfigError, RewardRefused
from tpo.registry import parse
from tpo.rewards.ensemble import Ensemble
from tpo.rewards.hf import HFReward
from tpo.rewards.judge import JudgeReward
from tpo.rewards.sglang import SGLangReward
from tpo.rewards.vllm import VLLMReward
from tpo.runs.models import Relay, load_models


def settings(*reward: str, **values: Any) -> Settings:
    return load_settings({"reward": list(reward)} | values, {})


def test_servers_are_rewards_and_may_be_several() -> None:
    assert type(build_reward("vllm:http://h:8001")) is VLLMReward
    assert type(build_reward("sglang:http://h:8001")) is SGLangReward
    judge = build_reward("judge:http://h:1,http://h:2/v1#ORG/big", rubric=None, votes=3)
    assert isinstance(judge, JudgeReward)
    assert judge.model == "ORG/big"
    spec = parse(REWARDS, "vllm:http://a,http://b#m", "--reward")
    assert (spec.kind, spec.urls, spec.model) == ("vllm", ("http://a", "http://b"), "m")


def test_several_rewards_make_an_ensemble() -> None:
    both = reward_of(settings("python:statistics:mean", "judge:http://h", combine="lcb"))
    assert isinstance(both, Ensemble)
    assert both.combine == "lcb"
    assert list(both.members) == ["python:statistics:mean", "judge:http://h"]
    assert isinstance(load_reward(["python:statistics:mean", "judge:http://h"]), Ensemble)


def test_a_rubric_of_the_users_own_is_told_to_the_judge(tmp_path: Path) -> None:
    rubric = tmp_path / "rubric.txt"
    rubric.write_text("- Brevity.", "utf-8")
    judge = reward_of(settings("judge:http://h", rubric=rubric))
    assert isinstance(judge, JudgeReward)
    assert judge.rubric == "- Brevity."


def test_names_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name each reward once"):
        check_names(settings("tiny", "tiny"))
    with pytest.raises(ConfigError, match="is for --reward judge:URL"):
        check_names(settings("tiny", rubric=tmp_path / "rubric.txt"))
    with pytest.raises(ConfigError, match="--combine"):
        settings("tiny", combine="max")


def test_a_named_server_may_move_and_nothing_else_may() -> None:
    assert reward_identity(settings("tiny")) == "tiny"
    assert reward_identity(settings("vllm:http://a#rm")) == reward_identity(
        settings("vllm:http://b,http://c#rm")
    )
    assert reward_identity(settings("vllm:http://a")) != reward_identity(settings("vllm:http://b"))
    assert reward_identity(settings("vllm:http://a#rm")) != reward_identity(settings("judge:http://a#rm"))
    pair = ("tiny", "vllm:http://a#rm")
    assert reward_identity(settings(*pair)) != reward_identity(settings(*pair, combine="min"))


def test_another_rubric_is_another_run(tmp_path: Path) -> None:
    rubric = tmp_path / "rubric.txt"
    seen = []
    for text in ("- Brevity.", "- Wit."):
        rubric.write_text(text, "utf-8")
        seen.append(str(reward_identity(settings("judge:http://a#m", rubric=rubric))))
    assert seen[0] != seen[1]


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_another_tokenizer_is_another_run_and_none_is_that_of_earlier_versions(kind: str) -> None:
    name = f"{kind}:http://a#rm"
    assert reward_identity(settings(name)) == f"{kind}:#rm"
    first, second = (settings(name, reward_tokenizer=tokenizer) for tokenizer in ("org/a", "org/b"))
    assert reward_identity(first) == {"names": [f"{kind}:#rm"], "tokenizer": "org/a"}
    assert reward_identity(first) != reward_identity(second)
    checked = [check_identity(settings("tiny", check_reward=name, reward_tokenizer=t)) for t in ("a", "b")]
    assert checked[0] != checked[1]


def test_each_of_two_rubrics_counts(tmp_path: Path) -> None:
    files = [tmp_path / "a.toml", tmp_path / "b.toml"]
    for file in files:
        file.write_text('criteria = [{text = "kind"}]', "utf-8")
    both = settings(*(f"rubric:{file}@http://h#m" for file in files))
    seen = [reward_identity(both)]
    for file in files:
        file.write_text('criteria = [{text = "unkind"}]', "utf-8")
        seen.append(reward_identity(both))
    assert all(seen[index] != seen[index - 1] for index in range(3))


def test_code_that_comes_with_a_model_runs_only_where_a_flag_a_variable_or_a_file_says_so(
    tmp_path: Path,
) -> None:
    name = f"hf:{save_gated_reward(tmp_path / 'model')}"
    file = tmp_path / "run.toml"
    file.write_text("trust-remote-code = true", "utf-8")
    with pytest.raises(RewardRefused, match="--trust-remote-code"):
        reward_of(settings(name, device="cpu"))
    assert isinstance(reward_of(settings(name, device="cpu", trust_remote_code=True)), HFReward)
    for environment, config in (({"TPO_TRUST_REMOTE_CODE": "true"}, None), ({}, file)):
        assert load_settings({"reward": name}, environment, config).trust_remote_code


def test_a_check_reward_that_guides_is_refused_wherever_models_are_loaded() -> None:
    for given in (settings("python:m:f"), settings("tiny", gate=("python:m:f",))):
        with pytest.raises(ConfigError, match="must not guide a run"):
            load_models(replace(given, check_reward="python:m:f"), Relay())
