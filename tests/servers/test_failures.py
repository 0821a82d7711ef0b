"""What production does to a run over HTTP: servers and clients that die, replies that are spoiled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fault_proxy import FaultProxy
from tests.servers.vllm import Vllm
from tpo.store.jsonline import unseal
from tpo.tiny import examples_path, policy_path

pytestmark = pytest.mark.servers
QUERIES = 40
SAMPLES = 3
KILLS = 10
EAGER = ("--enforce-eager",)
"""Uncompiled, since compiling takes longer than these tests."""
SECONDS = 400
"""For one run, a server's restart on a busy machine included."""


class Mortal(Vllm):
    """A server that can be killed and started again on its port."""

    def kill(self) -> None:
        """As ``kill -9``, its engine's process with it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mortal, Mortal]]:
    logs = tmp_path_factory.mktemp("vllm")
    pair = (
        Mortal(policy_path(), "tiny-policy", logs / "a.log", EAGER),
        Mortal(policy_path(), "tiny-policy", logs / "b.log", EAGER),
    )
    with ExitStack() as stack:
        with ThreadPoolExecutor() as starting:
            for server in starting.map(lambda server: server.__enter__(), pair):
                stack.push(server)
        yield pair


@contextmanager
def client(folder: Path, *urls: str, queries: int = QUERIES) -> Iterator[subprocess.Popen[str]]:
    """``tpo run`` in *folder*, as a user starts it; its reward is a function, so that it starts quickly."""
    (folder / "lengths.py").write_text("def length(messages, response):\n    return float(len(response))\n")
    command = [
        *(sys.executable, "-c", "from tpo.cli.main import main; main()"),
        *("run", str(examples_path()), "--limit", str(queries), "--out", "run"),
        *(option for url in urls for option in ("--policy", url)),
        *("--reward", "python:lengths:length", "-n", str(SAMPLES), "-d", "1", "--max-tokens", "96"),
        *("--concurrency", "8"),
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of the run's trajectories."""
    file = folder / "run" / "trajectories.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until it is so, or the process has ended."""
    deadline = time.monotonic() + SECONDS
    while not what() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended_well(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said


def check_whole(folder: Path, queries: int = QUERIES) -> None:
    """Each query finished, once, with each of its candidates once."""
    records = [record for record in lines(folder) if record["status"] == "finished"]
    assert Counter(Counter(record["query"]["id"] for record in records).values()) == {1: queries}
    for record in records:
        lost = [f"1.{update['index']}" for step in record["steps"] for update in step["malformed_updates"]]
        ids = [candidate["id"] for candidate in record["candidates"]] + lost
        assert sorted(ids) == [f"{step}.{index}" for step in (0, 1) for index in range(SAMPLES)]
    assert (folder / "run" / "journal.jsonl").read_bytes() == b""


def writers(record: dict[str, Any]) -> set[str]:
    """Who wrote anything of a query's trajectory."""
    told = [*record["candidates"]]
    for step in record["steps"]:
        told += [step["loss"], step["gradient"], *step["malformed_updates"]]
    return {item["served"]["by"] for item in told}


def check_journal(folder: Path) -> None:
    """Every line but a torn last one is as it was written."""
    file = folder / "run" / "journal.jsonl"
    if file.exists():
        for line in file.read_bytes().split(b"\n")[:-1]:
            unseal(line + b"\n")


def test_clients_killed_at_random_moments_lose_nothing(
    servers: tuple[Mortal, Mortal], tmp_path: Path
) -> None:
    luck = random.Random(7)
    urls = [server.url for server in servers]
    kills = 0
    while kills < KILLS and len(lines(tmp_path)) < QUERIES:
        goal = len(lines(tmp_path)) + luck.randint(0, 4)
        with client(tmp_path, *urls) as process:
            wait_for(lambda: (tmp_path / "run" / "journal.jsonl").exists(), process)
            wait_for(lambda: len(lines(tmp_path)) >= goal, process)  # noqa: B023 - called before it changes
            time.sleep(luck.random() * 0.3)
            process.kill()
            _, said = process.communicate()
            assert process.returncode in (0, -signal.SIGKILL), said
        kills += 1
        check_journal(tmp_path)
    with client(tmp_path, *urls) as process:
        ended_well(process)
    assert kills >= KILLS // 2
    check_whole(tmp_path)
    homes = [writers(record) for record in lines(tmp_path)]
    assert all(len(home) == 1 for home in homes)  # resumed ones went on where they were
    assert set.union(*homes) == set(urls)


def test_every_query_finishes_once_though_the_server_is_killed_and_started_again(
    servers: tuple[Mortal, Mortal], tmp_path: Path
) -> None:
    server = servers[0]
    with client(tmp_path, server.url) as process:
        wait_for(lambda: len(lines(tmp_path)) >= 4, process)
        server.kill()
        assert len(lines(tmp_path)) < QUERIES
        server.__enter__()
        process.communicate(timeout=SECONDS)
    if process.returncode != 0:  # this machine took longer to start a server than a call is patient
        with client(tmp_path, server.url) as process:
            ended_well(process)
    check_whole(tmp_path)


def test_spoiled_replies_of_a_real_server_cost_calls_and_nothing_else(
    servers: tuple[Mortal, Mortal], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = servers[0].url.removesuffix("/v1")
    faults = FaultProxy(root, share=0.2, seed=5, held=5.0, retry_after=0.1)
    with faults as proxy, client(tmp_path, proxy.url) as process:
        ended_well(process)
    check_whole(tmp_path)
    with capsys.disabled():
        needed = QUERIES * 4
        print(  # noqa: T201 - how much a bad day costs is what this test is for
            f"\n{proxy.sent} requests sent for {needed} calls needed (counts of tokens among them): "
            f"{dict(proxy.counts)}"
        )


def test_when_one_of_two_servers_is_killed_the_other_ends_the_run_and_the_record_tells(
    servers: tuple[Mortal, Mortal], tmp_path: Path
) -> None:
    stays, dies = servers
    with client(tmp_path, stays.url, dies.url) as process:
        wait_for(lambda: any(dies.url in writers(record) for record in lines(tmp_path)), process)
        dies.kill()
        before = len(lines(tmp_path))
        ended_well(process)
    check_whole(tmp_path)
    assert before < QUERIES
    late = lines(tmp_path)[-4:]
    assert all(stays.url in writers(record) for record in late)
    assert set.union(*(writers(record) for record in lines(tmp_path))) == {stays.url, dies.url}
