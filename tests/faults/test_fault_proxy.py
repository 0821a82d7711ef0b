"""Two hundred queries through a server of which every fifth reply is spoiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fault_proxy import ALL_FAULTS, FAULTS, FaultProxy
from tests.faults.whole_run import (
    HELD,
    MIX,
    NEEDED,
    QUERIES,
    SHORT_TIMEOUT,
    carried_out,
    check_whole,
    lines,
    root,
)
from tests.openai_server import OpenAIServer
from tpo.events import CallRetried, Event
from tpo.http import RetryPolicy
from tpo.store import read_trajectories

RETRY = RetryPolicy(initial=0.005, longest=0.02)


def test_with_every_fifth_reply_spoiled_all_queries_finish(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silences = 0

    def count_silences(event: Event) -> None:
        nonlocal silences
        silences += isinstance(event, CallRetried) and "kept silent" in event.reason

    with (
        OpenAIServer() as server,
        FaultProxy(root(server), share=0.2, faults=MIX, seed=3, held=HELD, retry_after=0.01) as proxy,
    ):
        summary = carried_out(proxy.url, tmp_path, RETRY, count_silences, timeout=SHORT_TIMEOUT)
    assert (summary.finished, summary.failed) == (QUERIES, 0)
    check_whole(tmp_path)
    assert set(proxy.counts) == {"passed", *FAULTS}
    spoiled = proxy.sent - proxy.counts["passed"]
    late = max(0, silences - proxy.counts["held"])
    with capsys.disabled():
        print(  # noqa: T201 - how much a bad day costs is what this test is for
            f"\n{proxy.sent} calls sent for {NEEDED} needed; {spoiled} replies spoiled, {late} late"
        )
    # A failed request for three samples may be followed by three for one; most are followed by one.
    assert NEEDED < proxy.sent < NEEDED + 1.5 * (spoiled + late)


def test_without_patience_each_query_is_finished_or_says_why_not_and_the_next_run_finishes_it(
    tmp_path: Path,
) -> None:
    with OpenAIServer() as server:
        with FaultProxy(root(server), share=0.2, faults=MIX, seed=4, held=HELD, retry_after=0.01) as proxy:
            summary = carried_out(proxy.url, tmp_path, RetryPolicy(timeout=0.0), timeout=SHORT_TIMEOUT)
        assert summary.finished + summary.failed == QUERIES
        assert summary.failed > 20
        check_whole(tmp_path)
        sound = carried_out(server.url, tmp_path, RetryPolicy())
    assert (sound.finished, sound.failed) == (QUERIES, 0)
    finished = [t for t in read_trajectories(tmp_path) if t.status == "finished"]
    assert len({t.query.id for t in finished}) == len(finished) == QUERIES


def test_with_two_servers_the_sound_one_takes_over_and_the_record_says_so(tmp_path: Path) -> None:
    with OpenAIServer() as server, FaultProxy(root(server), share=1.0, faults=["500"]) as broken:
        summary = carried_out([broken.url, server.url], tmp_path, RETRY)
    assert (summary.finished, summary.failed) == (QUERIES, 0)
    check_whole(tmp_path)
    writers = {c["served"]["by"] for record in lines(tmp_path) for c in record["candidates"]}
    assert writers == {server.url}


def test_with_a_quarter_of_the_replies_spoiled_in_all_ways_all_queries_finish(tmp_path: Path) -> None:
    """Statuses that are fatal from a server that never answered pass, since this one has answered."""
    faults = [fault for fault in ALL_FAULTS if fault != "held"]
    with (
        OpenAIServer() as server,
        FaultProxy(root(server), share=0.25, faults=faults, seed=6, retry_after=0.01, spared=50) as proxy,
    ):
        summary = carried_out(proxy.url, tmp_path, RETRY)
    assert (summary.finished, summary.failed) == (QUERIES, 0)
    check_whole(tmp_path)
    assert set(proxy.counts) == {"passed", *faults}


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_is_what_its_name_says(fault: Any) -> None:
    with (
        OpenAIServer() as server,
        FaultProxy(root(server), share=1.0, faults=[fault], held=0.05, retry_after=7) as proxy,
    ):
        async with aiohttp.ClientSession() as session:
            seen = await _seen(session, f"{proxy.url}/chat/completions")
            async with session.get(f"{proxy.url}/models") as reply:
                assert (await reply.json())["data"][0]["id"] == "scripted"
        assert proxy.counts == {fault: 1}
    assert (
        seen
        == {
            "429": (429, "7"),
            "500": (500, None),
            "reset": "ServerDisconnectedError",
            "cut": "ClientPayloadError",
            "malformed": "JSONDecodeError",
            "empty": [],
            "held": ["one"],
        }[fault]
    )


async def _seen(session: aiohttp.ClientSession, url: str) -> Any:
    body = {"messages": [{"role": "user", "content": "hi"}]}
    try:
        async with session.post(url, json=body) as reply:
            if reply.status != 200:
                return reply.status, reply.headers.get("Retry-After")
            return ["one" for _ in json.loads(await reply.text())["choices"]]
    except (aiohttp.ClientError, ValueError) as error:
        return type(error).__name__
