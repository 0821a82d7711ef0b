"""The rule when_needed: its file, its decision, and models that do not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.methods.own import QUERY
from tpo.config import Settings, stopping_identity, stopping_rules
from tpo.errors import ConfigError
from tpo.methods.catalog import tpo
from tpo.methods.need import NeedModel, WhenNeeded, fit_gain, read_need, write_need
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Trajectory

MODEL = NeedModel(
    "tiny", "tiny", 4.0, -0.5, 1.0, threshold=1.0, queries=40, method="tpo D2-N2", sample_size=2
)


def optimized(*samples: str) -> Trajectory:
    script = {"sample": samples, "loss": "l", "gradient": "g", "update": improved("better")}
    method = tpo(sample_size=2, max_iterations=2)
    policy = ScriptedPolicy(script)  # type: ignore[arg-type]
    return Optimizer(policy, ScriptedReward(), method, stopping=[WhenNeeded(MODEL)]).run(QUERY)


@pytest.mark.parametrize(
    ("samples", "steps"),
    [(("x" * 6, "x" * 6), 2), (("x" * 8, "x" * 8), 0), (("x" * 8, "x" * 4), 2)],
    ids=["gain 1.0", "gain 0.0", "gain 0.0 + spread 2.0"],
)
def test_only_a_query_whose_samples_promise_a_gain_is_optimized(samples: tuple[str, str], steps: int) -> None:
    trajectory = optimized(*samples)
    assert len(trajectory.steps) == steps
    assert trajectory.stop_reason == ("max_iterations" if steps else "when_needed")


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_need(tmp_path / "need.json", MODEL)
    assert read_need(tmp_path / "need.json") == MODEL


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 2}, "schema version 2"),
        ({"best": float("nan")}, "finite"),
        ({"intercept": "x"}, "convert"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    path = tmp_path / "need.json"
    write_need(path, MODEL)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match=reason):
        read_need(path)


def test_a_file_of_other_models_is_refused_and_its_content_is_in_the_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "need.json"
    write_need(path, MODEL)
    settings = Settings(when_needed=path, sample_size=2, max_iterations=2)
    assert stopping_rules(settings) == (WhenNeeded(MODEL),)
    before = stopping_identity(settings)
    write_need(path, replace(MODEL, threshold=2.0))
    assert stopping_identity(settings) != before
    write_need(path, replace(MODEL, reward="other"))
    with pytest.raises(ConfigError, match="it is of the reward 'other'"):
        stopping_rules(settings)
    assert len(stopping_rules(settings, identity={"policy": "tiny", "reward": "other"})) == 1
    with pytest.raises(ConfigError, match="it is of the policy 'tiny', and this run's is 'mine'"):
        stopping_rules(settings, identity={"policy": "mine", "reward": "other"})


@pytest.mark.parametrize("other", [{"sample_size": 20}, {"max_iterations": 1}, {"method": "revision"}])
def test_a_file_of_another_method_or_shape_is_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    path = tmp_path / "need.json"
    write_need(path, MODEL)
    settings = Settings(when_needed=path, sample_size=2, max_iterations=2)
    with pytest.raises(ConfigError, match="its file is of tpo D2-N2 with N = 2, and this run is"):
        stopping_rules(replace(settings, **other))
    with pytest.raises(ConfigError, match="its file is of tpo D2-N2"):
        stopping_rules(settings, tpo(sample_size=3, max_iterations=2))
    write_need(path, replace(MODEL, method=""))
    assert len(stopping_rules(replace(settings, max_iterations=1))) == 1


def test_the_fit_finds_the_coefficients() -> None:
    firsts = [[float(i), i + 0.5 * (i % 3)] for i in range(12)]
    gains = [MODEL.expected_gain(rewards) for rewards in firsts]
    assert fit_gain(firsts, gains) == pytest.approx((4.0, -0.5, 1.0), abs=1e-5)
    with pytest.raises(ConfigError, match="at least 10"):
        fit_gain(firsts[:9], gains[:9])
