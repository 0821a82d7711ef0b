"""A served reward model that dies in the middle of a run, and comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.openai_server import OpenAIServer
from tests.servers.runs import QUERIES, check_whole, client, ended_well, lines, wait_for
from tests.servers.vllm import POOLING, Vllm
from tpo.tiny import reward_path

pytestmark = pytest.mark.servers


def test_every_query_finishes_once_though_the_reward_server_is_killed_and_started_again(
    tmp_path: Path,
) -> None:
    with (
        OpenAIServer() as policy,
        Vllm(reward_path(), "tiny-reward", tmp_path / "reward.log", POOLING) as server,
        # Two at a time, since a policy without a model takes no time.
        client(tmp_path, policy.url, reward=("--reward", f"vllm:{server.root}"), concurrency=2) as process,
    ):
        wait_for(lambda: len(lines(tmp_path)) >= 4, process)
        server.kill()
        before = len(lines(tmp_path))
        assert 4 <= before < QUERIES
        server.__enter__()
        told = ended_well(process)
        asked = sum(body["max_tokens"] > 16 for body in policy.requests)  # the others are checks
    check_whole(tmp_path)
    assert asked == 4 * QUERIES  # samples, loss, gradient and update, none of them twice
    retries = json.loads((tmp_path / "run" / "run.json").read_text())["totals"]["retries"]
    assert set(retries) == {"reward"}
    assert f"{retries['reward']:,} of them for scores" in " ".join(told.split())  # lines are wrapped
