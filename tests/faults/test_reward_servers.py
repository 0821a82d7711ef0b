"""Served rewards whose replies are spoiled, or whose server goes away: no query is lost, no score doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault_proxy import FAULTS, FaultProxy
from tests.faults.test_dying_servers import MIDDLE, RETRY, InTheMiddle
from tests.faults.whole_run import HELD, MIX, QUERIES, SCORES, SHORT_TIMEOUT, check_whole, lines, scored
from tests.rewards.vllm.pooling_server import PoolingServer, logit
from tpo.http import RetryPolicy

QUICK = RetryPolicy(initial=0.005, longest=0.02)
PROBES = 4
"""Requests that find out how a server is asked."""


def check_scores(path: Path) -> None:
    """Every score is the model's own, the zero of no mishap among them."""
    for record in lines(path):
        question = record["query"]["messages"][0]["content"]
        for candidate in record["candidates"]:
            assert candidate["reward"] == pytest.approx(logit(f"{question}\n{candidate['text']}"))


def test_with_every_fifth_reply_spoiled_all_queries_finish(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        PoolingServer() as server,
        FaultProxy(server.root, share=0.2, faults=MIX, seed=3, held=HELD, retry_after=0.01) as proxy,
    ):
        summary = scored(proxy.root, tmp_path, QUICK, timeout=SHORT_TIMEOUT)
    assert (summary.finished, summary.failed) == (QUERIES, 0)
    check_whole(tmp_path)
    check_scores(tmp_path)
    assert set(proxy.counts) == {"passed", *FAULTS}
    spoiled = proxy.sent - proxy.counts["passed"]
    assert summary.retries["reward"] > 0.9 * spoiled
    with capsys.disabled():
        print(  # noqa: T201 - how much a bad day costs is what this test is for
            f"\n{proxy.sent} requests sent for {SCORES} scores; {spoiled} replies spoiled"
        )
    assert proxy.sent > SCORES


def test_a_server_that_is_gone_for_a_while_is_waited_for(tmp_path: Path) -> None:
    with PoolingServer() as server:
        before = FaultProxy(server.root, share=0.0)
        before.__enter__()
        after = FaultProxy(server.root, share=0.0, port=before.port)
        outage = InTheMiddle(lambda: before.__exit__(None, None, None), after.__enter__)
        summary = scored(before.root, tmp_path, RETRY, outage)
        after.__exit__(None, None, None)
    assert (summary.finished, summary.failed) == (QUERIES, 0)
    check_whole(tmp_path)
    check_scores(tmp_path)
    assert before.sent > MIDDLE
    assert after.sent > PROBES


def test_when_one_of_two_servers_dies_the_other_takes_its_queries(tmp_path: Path) -> None:
    with PoolingServer() as server:
        dies, stays = FaultProxy(server.root, share=0.0), FaultProxy(server.root, share=0.0)
        dies.__enter__()
        death = InTheMiddle(lambda: dies.__exit__(None, None, None))
        with stays:
            summary = scored([dies.root, stays.root], tmp_path, RETRY, death)
    assert (summary.finished, summary.failed) == (QUERIES, 0)
    check_whole(tmp_path)
    check_scores(tmp_path)
    assert dies.sent > PROBES
    assert stays.sent > dies.sent
