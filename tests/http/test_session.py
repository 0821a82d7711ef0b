"""Connections that nobody closes: they end with their loop or their client, and say nothing."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.http.loopback import Answer, Loopback

CLIENT = """
    import asyncio, gc, sys
    from tpo.http import HttpClient

    def ask(client):
        return client.request("POST", "/chat/completions", {}, read=lambda reply: reply)

    client = HttpClient(sys.argv[1], notice_after=600.0)
"""

WAYS = {
    "a loop that is only closed": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(ask(client))
        loop.close()
        del client
        gc.collect()
    """,
    "asyncio.run": """
        asyncio.run(ask(client))
        asyncio.run(ask(client))
    """,
    "a client that is dropped while its loop runs on": """
        async def main(client):
            await ask(client)
            del client
            gc.collect()
            await asyncio.sleep(0)
        made = [client]
        del client
        asyncio.run(main(made.pop()))
    """,
    "a client that is closed": """
        async def main():
            await ask(client)
            await client.aclose()
        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("way", WAYS)
def test_connections_end_without_a_word(way: str) -> None:
    program = textwrap.dedent(CLIENT) + textwrap.dedent(WAYS[way])
    with Loopback(Answer({"a": 1})) as server:
        done = subprocess.run(
            [sys.executable, "-c", program, server.url], capture_output=True, text=True, timeout=300
        )
    assert (done.returncode, done.stderr) == (0, "")
