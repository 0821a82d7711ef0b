"""What production does to a run over HTTP: servers and clients that die, replies that are spoiled."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fault_proxy import FaultProxy
from tests.servers.runs import QUERIES, SECONDS, check_whole, client, ended_well, lines, wait_for
from tests.servers.vllm import EAGER, Vllm
from tpo.store.jsonline import unseal
from tpo.tiny import policy_path

pytestmark = pytest.mark.servers
KILLS = 6


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Vllm, Vllm]]:
    logs = tmp_path_factory.mktemp("vllm")
    pair = (
        Vllm(policy_path(), "tiny-policy", logs / "a.log", EAGER),
        Vllm(policy_path(), "tiny-policy", logs / "b.log", EAGER),
    )
    with ExitStack() as stack:
        with ThreadPoolExecutor() as starting:
            for server in starting.map(lambda server: server.__enter__(), pair):
                stack.push(server)
        yield pair


def writers(record: dict[str, Any]) -> set[str]:
    """Who wrote anything of a query's trajectory."""
    told = [*record["candidates"]]
    for step in record["steps"]:
        told += [reply for call in step["calls"] for reply in call.get("replies", ())]
    return {item["served"]["by"] for item in told}


def check_journal(folder: Path) -> None:
    """Every line but a torn last one is as it was written."""
    file = folder / "run" / "journal.jsonl"
    if file.exists():
        for line in file.read_bytes().split(b"\n")[:-1]:
            unseal(line + b"\n")


def test_clients_killed_at_random_moments_lose_nothing(servers: tuple[Vllm, Vllm], tmp_path: Path) -> None:
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
    servers: tuple[Vllm, Vllm], tmp_path: Path
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
    servers: tuple[Vllm, Vllm], tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
    servers: tuple[Vllm, Vllm], tmp_path: Path
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
