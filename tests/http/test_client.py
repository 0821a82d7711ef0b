import asyncio
import os
import socket
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from tests.http.loopback import Answer, Loopback, VirtualTime
from tests.openai_server import OpenAIServer
from tpo.errors import ConfigError
from tpo.http import Balancer, HttpClient, HttpFailure, RetryPolicy
from tpo.http.session import KEEPALIVE


def as_it_is(value: Any) -> Any:
    return value


def retried(client: HttpClient, time: VirtualTime, timeout: float = 300.0) -> Callable[..., Awaitable[Any]]:
    """GET requests of *client* that are retried."""
    retry = RetryPolicy(timeout=timeout)
    balancer = Balancer([(client.address, client)], retry=retry, clock=time.clock)

    async def get(**options: Any) -> Any:
        return await balancer.ask("q", lambda it: it.request("GET", "/x", read=as_it_is), **options)

    return get


async def test_a_connection_that_was_there_before_is_waited_for() -> None:
    time, port = VirtualTime(), unused_port()
    loopback = Loopback(Answer({"n": 1}))
    client = HttpClient(f"http://127.0.0.1:{port}")
    get = retried(client, time)
    async with loopback.up(port):
        await get()
    with pytest.raises(
        HttpFailure, match=r"no server answers at .*: Connection refused \(given up"
    ) as caught:
        await get()
    assert time.waits
    assert not caught.value.fatal
    await client.aclose()


async def test_a_server_back_in_time_is_taken_up_again() -> None:
    time, port = VirtualTime(), unused_port()
    loopback = Loopback(Answer({"n": 1}))
    client = HttpClient(f"http://127.0.0.1:{port}")
    get = retried(client, time, timeout=1e9)  # virtual seconds pass while the server really starts
    async with loopback.up(port):
        await get()
    down = asyncio.Event()
    call = asyncio.ensure_future(get(on_retry=lambda *_: down.set()))
    await down.wait()
    async with loopback.up(port):
        assert await call == {"n": 1}
    await client.aclose()


async def test_a_server_that_never_answered_fails_at_once() -> None:
    time = VirtualTime()
    client = HttpClient(f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(HttpFailure, match="is it running") as caught:
        await retried(client, time)()
    assert caught.value.fatal
    assert time.waits == []
    await client.aclose()


async def test_silence_is_a_failure_that_passes() -> None:
    never = asyncio.Event()

    class Silent(Loopback):
        async def handle(self, request: Any) -> Any:
            await never.wait()

    async with Silent().up() as url:
        client = HttpClient(url, timeout=0.01)
        with pytest.raises(HttpFailure, match="silent") as caught:
            await client.request("GET", "/x", read=as_it_is)
        never.set()
    assert caught.value.passes
    await client.aclose()


async def test_a_reply_that_trickles_ends_at_the_deadline() -> None:
    class Trickling(Loopback):
        async def handle(self, request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:  # until the client leaves
                await response.write(b" ")
                await asyncio.sleep(0)

    async with Trickling().up() as url:
        # Its bytes come sooner than a second apart, its connection is there within half of one.
        client = HttpClient(url, timeout=1.0, connect_timeout=0.5)
        with pytest.raises(HttpFailure, match=r"incomplete after 1\.5 s") as caught:
            await client.request("GET", "/x", read=as_it_is)
        await client.aclose()
    assert caught.value.passes


async def test_a_handshake_that_never_ends_is_a_connection_that_failed() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = HttpClient(f"https://127.0.0.1:{port}", timeout=60.0, connect_timeout=0.05)
    with pytest.raises(HttpFailure, match=r"no connection within 0\.05 s") as caught:
        await client.request("GET", "/x", read=as_it_is)
    assert caught.value.unreachable
    await client.aclose()
    server.close()


async def test_connections_are_probed_so_that_a_peer_that_vanished_is_noticed() -> None:
    async with Loopback(Answer({"n": 1})).up() as url:
        client = HttpClient(url)
        await client.request("GET", "/x", read=as_it_is)
        port = int(url.rpartition(":")[2].removesuffix("/v1"))
        connections = psutil.Process().net_connections("tcp")
        (mine,) = [it.fd for it in connections if it.raddr and it.raddr.port == port]
        with socket.socket(fileno=os.dup(mine)) as opened:
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            for option, value in KEEPALIVE.items():
                assert opened.getsockopt(socket.IPPROTO_TCP, getattr(socket, option)) == value
        await client.aclose()


async def test_a_server_that_is_silent_at_first_is_named(caplog: pytest.LogCaptureFixture) -> None:
    never = asyncio.Event()

    class Silent(Loopback):
        async def handle(self, request: web.Request) -> web.StreamResponse:
            await never.wait()
            return web.Response()

    async with Silent().up() as url:
        client = HttpClient(url, timeout=0.1, notice_after=0.01)
        for _ in range(2):
            with pytest.raises(HttpFailure):
                await client.request("GET", "/x", read=as_it_is)
        await client.aclose()
        never.set()
    # Other libraries may log here, too: what they log depends on the tests that ran before.
    assert [record.getMessage() for record in caplog.records if record.name.startswith("tpo")] == [
        f"waiting for the server at {url}: no reply after 0.01 s (given up after 0.1 s, --timeout)"
    ]


async def test_a_redirect_is_told_and_not_followed() -> None:
    loopback = Loopback(Answer(status=308, headers={"Location": "http://elsewhere/v1"}))
    async with loopback.up() as url:
        client = HttpClient(url, "key")
        with pytest.raises(HttpFailure, match="redirects to http://elsewhere/v1"):
            await client.request("POST", "/x", {}, read=as_it_is)
        await client.aclose()
    assert len(loopback.asked) == 1


def test_one_loop_after_another_needs_no_closing_and_leaves_nothing_open() -> None:
    with OpenAIServer() as server, warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        client = HttpClient(server.url)
        for _ in range(2):
            listed = asyncio.run(client.request("GET", "/models", read=as_it_is))
            assert listed["data"][0]["id"] == "scripted"


def test_a_key_with_a_line_break_inside_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="TPO_API_KEY") as caught:
        HttpClient("http://host", "hidden\nheader: x")
    assert "hidden" not in str(caught.value)


async def test_plain_http_where_tls_was_expected_is_fatal_but_ambiguous() -> None:
    async with Loopback(Answer({"n": 1})).up() as url:
        client = HttpClient(url.replace("http://", "https://"))
        with pytest.raises(HttpFailure, match="no safe connection") as caught:
            await client.request("GET", "/x", read=as_it_is)
        await client.aclose()
    assert caught.value.fatal
    assert caught.value.ambiguous
