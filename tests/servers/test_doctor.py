"""The doctor before real vLLM servers of the tiny pair, policy and reward."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.vllm import POOLING, Vllm, tpo
from tpo.tiny import examples_path, policy_path, reward_path

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Vllm, Vllm]]:
    logs = tmp_path_factory.mktemp("vllm")
    with ExitStack() as both:
        policy = both.enter_context(Vllm(policy_path(), "tiny-policy", logs / "policy.log"))
        reward = both.enter_context(Vllm(reward_path(), "tiny-reward", logs / "reward.log", POOLING))
        yield policy, reward


def test_a_healthy_pair_is_found_healthy(pair: tuple[Vllm, Vllm], tmp_path: Path) -> None:
    policy, reward = pair
    models = ["--policy", policy.url, "--reward", f"vllm:http://127.0.0.1:{reward.port}"]
    shape = ["--data", str(examples_path()), "--max-tokens", "256"]
    result = tpo("doctor", "--json", *shape, *models, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    found = {finding["check"]: finding for finding in json.loads(result.stdout)["findings"]}
    for check in ("server", "n", "seed", "finish reasons", "prefix cache", "golden scores", "iteration"):
        assert found[check]["status"] == "good", found[check]
    assert found["server"]["values"]["context"] == 2048
    assert found["prefix cache"]["values"]["counted"]["hits"] > 0
    assert found["golden scores"]["values"]["largest_difference"] < 1e-3
    assert found["context"]["values"]["context"] == 2048
