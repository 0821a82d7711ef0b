"""``tpo serve`` as a deployment of Ray Serve: the example, on the loopback."""

from __future__ import annotations

import importlib
import json
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.scale.cluster_run import ROOT, STORE_BYTES
from tests.scale.paced_server import PacedServer
from tests.serve.serving import CHAT, asked
from tests.servers.vllm import free_port

pytestmark = pytest.mark.ray

DEPLOY = ROOT / "examples" / "deploy"


PATIENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "120",
}
"""Environment of a Ray that starts on a loaded machine, too."""


@pytest.fixture
def address(server: PacedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the example on a Ray of its own."""
    for name, value in PATIENT.items():
        monkeypatch.setenv(name, value)
    import ray
    from ray import serve

    variables = {
        "PYTHONPATH": f"{ROOT}:{DEPLOY}",
        "TPO_POLICY": server.url,
        "TPO_MODEL": "scripted",
        "TPO_REWARD": "python:tests.scale.functions:value",
        "TPO_SAMPLE_SIZE": "2",
        "TPO_MAX_ITERATIONS": "1",
    }
    monkeypatch.setattr(sys, "path", [str(DEPLOY), *sys.path])
    port = free_port()
    ray.init(
        num_cpus=2,
        _node_ip_address="127.0.0.1",
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        logging_level="ERROR",
        runtime_env={"env_vars": variables},
    )
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(importlib.import_module("ray_serve").app, route_prefix="/")
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()


def post(url: str, body: dict[str, Any]) -> str:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - the loopback
    with urllib.request.urlopen(request, timeout=120) as reply:  # noqa: S310
        return str(reply.read().decode())


def test_a_replica_answers_whole_and_streamed(address: str, server: PacedServer) -> None:
    whole = json.loads(post(address + CHAT, asked("Why?", model="scripted")))
    answer = whole["choices"][0]["message"]["content"]
    assert answer
    assert sum(server.samples.values()) == 6  # two samples, a loss, a gradient, two updates
    lines = post(address + CHAT, asked("Why?", model="scripted", stream=True)).splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    streamed = "".join(
        event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"]
    )
    assert answer in streamed
    assert "data: [DONE]" in lines
