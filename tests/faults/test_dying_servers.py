"""Servers that go away in the middle of a run, for good or for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from tests.fault_proxy import FaultProxy
from tests.faults.whole_run import NEEDED, QUERIES, carried_out, check_whole, lines, root
from tests.openai_server import OpenAIServer
from tpo.events import Event, QueryEnded
from tpo.http import RetryPolicy

RETRY = RetryPolicy(initial=0.02, longest=0.1, timeout=60.0)
MIDDLE = QUERIES // 4


class InTheMiddle:
    """A listener that does *what*, in a thread of its own, when a quarter of the queries has ended."""

    def __init__(self, what: Callable[[], None]) -> None:
        self.ended = 0
        self.thread = threading.Thread(target=what)

    def __call__(self, event: Event) -> None:
        if isinstance(event, QueryEnded):
            self.ended += 1
            if self.ended == MIDDLE:
                self.thread.start()


def test_a_server_that_is_gone_for_a_while_is_waited_for_and_no_query_is_lost(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        before = FaultProxy(root(server), share=0.0)
        before.__enter__()
        after = FaultProxy(root(server), share=0.0, port=before.port)

        def restart() -> None:
            before.__exit__(None, None, None)
            after.__enter__()

        outage = InTheMiddle(restart)
        summary = carried_out(before.url, tmp_path, RETRY, outage)
        outage.thread.join()
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
        death.thread.join()
    assert (summary.finished, summary.failed) == (QUERIES, 0)
    check_whole(tmp_path)
    writers = [{c["served"]["by"] for c in record["candidates"]} for record in lines(tmp_path)]
    assert set.union(*writers) == {dies.url, stays.url}
    assert set.union(*writers[-20:]) == {stays.url}
