"""Servers that go away in the middle of a run, for good or for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults.whole_run import NEEDED, QUERIES, carried_out, check_whole, lines, root
from tests.openai_server import OpenAIServer
from tpo.errors import PolicyRefused
from tpo.events import CallRetried, Event, QueryEnded
from tpo.http import Clock, RetryPolicy

RETRY = RetryPolicy(initial=0.02, longest=0.1)
MIDDLE = QUERIES // 4


class InTheMiddle:
    """A listener that calls *first* when a quarter of the queries has ended, then *second* at a retry.

    The run stands still meanwhile, so what each of them does to a server is done before the next request.
    """

    def __init__(self, first: Callable[[], object], second: Callable[[], object] | None = None) -> None:
        self.ended = 0
        self._first, self._second = first, second

    def __call__(self, event: Event) -> None:
        if isinstance(event, QueryEnded):
            self.ended += 1
            if self.ended == MIDDLE:
                self._first()
        elif isinstance(event, CallRetried) and self.ended >= MIDDLE and self._second is not None:
            second, self._second = self._second, None
            second()


def test_a_server_that_is_gone_for_a_while_is_waited_for_and_no_query_is_lost(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        before = FaultProxy(root(server), share=0.0)
        before.__enter__()
        after = FaultProxy(root(server), share=0.0, port=before.port)
        outage = InTheMiddle(lambda: before.__exit__(None, None, None), after.__enter__)
        summary = carried_out(before.url, tmp_path, RETRY, outage)
        after.__exit__(None, None, None)
    assert (summary.finished, summary.failed) == (QUERIES, 0)
    check_whole(tmp_path)
    assert before.sent > 0
    assert after.sent > 0
    assert len(server.requests) < NEEDED + 100  # those in flight, at the least, were asked again


def test_when_one_of_two_servers_dies_the_other_takes_its_queries_and_the_record_tells(
    tmp_path: Path,
) -> None:
    with OpenAIServer() as server:
        dies, stays = FaultProxy(root(server), share=0.0), FaultProxy(root(server), share=0.0)
        dies.__enter__()
        death = InTheMiddle(lambda: dies.__exit__(None, None, None))
        with stays:
            summary = carried_out([dies.url, stays.url], tmp_path, RETRY, death)
    assert (summary.finished, summary.failed) == (QUERIES, 0)
    check_whole(tmp_path)
    writers = [{c["served"]["by"] for c in record["candidates"]} for record in lines(tmp_path)]
    assert set.union(*writers) == {dies.url, stays.url}
    assert set.union(*writers[-20:]) == {stays.url}


SPEED = 100.0
FAST = Clock(
    now=lambda: SPEED * time.monotonic(), sleep=lambda wait: asyncio.sleep(wait / SPEED), jitter=lambda: 0.0
)
"""A clock on which 300 seconds pass in 3, for waiters and for the sockets that they wait for alike."""


@pytest.mark.parametrize("share", [None, 1.0], ids=["gone", "busy for an hour"])
def test_a_server_that_is_gone_for_good_ends_the_run_without_failing_a_query(
    tmp_path: Path, share: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    with OpenAIServer() as server, ExitStack() as stack:
        before = FaultProxy(root(server), share=0.0)
        before.__enter__()

        def end() -> None:
            before.__exit__(None, None, None)
            if share is not None:
                after = FaultProxy(
                    root(server), share=share, faults=["429"], retry_after=3600, port=before.port
                )
                stack.enter_context(after)

        death = InTheMiddle(end)
        with pytest.raises(PolicyRefused, match="no server has answered for"):
            carried_out(before.url, tmp_path, RetryPolicy(), death, FAST)
        assert "the run waits" in caplog.text
        records = lines(tmp_path)
        assert len(records) >= MIDDLE
        assert {record["status"] for record in records} == {"finished"}
        summary = carried_out(server.url, tmp_path, RetryPolicy())
    assert (summary.finished, summary.failed) == (QUERIES, 0)
    check_whole(tmp_path)
