"""The tiny policy behind a real vLLM server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.runs import unreadable
from tests.servers.vllm import Vllm, tpo
from tpo.tiny import examples_path, policy_path

pytestmark = pytest.mark.servers
QUERIES = "12"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    log = tmp_path_factory.mktemp("vllm") / "policy.log"
    with Vllm(policy_path(), "tiny-policy", log) as running:
        yield running


def records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "trajectories.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def mean_best(run: Path) -> float:
    best: list[float] = [{c["id"]: c["reward"] for c in r["candidates"]}[r["best"]] for r in records(run)]
    return sum(best) / len(best)


def test_a_run_over_http_is_as_good_as_one_in_process(server: Vllm, tmp_path: Path) -> None:
    shared = ["run", str(examples_path()), "--reward", "tiny", "--limit", QUERIES, "--max-tokens", "256"]
    over_http = tpo(*shared, "--policy", server.url, "--out", "http", cwd=tmp_path)
    assert over_http.returncode == 0, over_http.stderr
    in_process = tpo(*shared, "--policy", "tiny", "--out", "here", cwd=tmp_path)
    assert in_process.returncode == 0, in_process.stderr

    http = records(tmp_path / "http")
    assert len(http) == int(QUERIES)
    assert all(r["status"] == "finished" for r in http)
    assert all(len(r["candidates"]) + len(unreadable(r)) == 15 for r in http)
    assert all(r["usage"]["sample"]["completion_tokens"] > 0 for r in http)
    # Other random numbers, the same model: the means of 12 queries agree within their noise.
    assert mean_best(tmp_path / "http") == pytest.approx(mean_best(tmp_path / "here"), abs=1.0)


def test_the_same_seed_repeats_over_http(server: Vllm, tmp_path: Path) -> None:
    texts = []
    for out, concurrency in (("one", "1"), ("many", "64")):
        done = tpo(
            *("run", str(examples_path()), "--reward", "tiny", "--limit", "3", "--max-tokens", "256"),
            *("--policy", server.url, "--out", out, "--concurrency", concurrency),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        texts.append(
            {r["query"]["id"]: [c["text"] for c in r["candidates"]] for r in records(tmp_path / out)}
        )
    assert texts[0] == texts[1]


def test_a_model_that_the_server_does_not_have_is_one_clear_sentence(server: Vllm, tmp_path: Path) -> None:
    done = tpo("run", "--policy", server.url, "--model", "gpt-9", "--reward", "tiny", cwd=tmp_path)
    assert done.returncode == 2
    assert "gpt-9" in done.stderr
    assert "tiny-policy" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_references_command_writes_its_files(server: Vllm, tmp_path: Path) -> None:
    data = tmp_path / "queries.json"
    prompts = [json.loads(line)["prompt"] for line in examples_path().read_text("utf-8").splitlines()[:4]]
    data.write_text(json.dumps(prompts))
    command = (
        f"--data_path {data} --output_path results --ip 127.0.0.1 --port {server.port}"
        f" --server_model tiny-policy --reward_model {policy_path().parent / 'reward'} --tpo_mode tpo"
        " --max_tokens_response 256 --max_tokens_all 2048 --sample_size 5 --seed 7"
        " --max_iterations 2 --num_threads 4"
    )
    script = Path(__file__).parents[2] / "run.py"
    done = subprocess.run(
        [sys.executable, str(script), *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (results,) = [path for path in (tmp_path / "results").glob("*.json") if path.name != "carried.json"]
    pools = json.loads(results.read_text("utf-8"))
    assert len(pools) == len(prompts)
    for prompt, pool in zip(prompts, pools, strict=True):
        parts = [key.split("<SEP>") for key in pool]
        assert {query for _, query, _ in parts} == {prompt}
        assert {index for index, _, _ in parts} <= {"INDEX-1", "INDEX0", "INDEX1"}
        assert all(isinstance(score, float) for score in pool.values())
    assert len(list((tmp_path / "logs").glob("*.json"))) >= 1
