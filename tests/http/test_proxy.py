"""Proxies of the environment: never before this machine's servers, and named where an error may be theirs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from aiohttp.test_utils import unused_port

from tests.http.loopback import Answer, Loopback

ASK = """
import asyncio, json, os, sys
from tpo.http import HttpClient, HttpFailure

async def ask(url):
    client = HttpClient(url, os.environ.get("KEY"))
    try:
        return await client.request("GET", "/models", read=lambda reply: "answered")
    except HttpFailure as failure:
        return str(failure)
    finally:
        await client.aclose()

print(json.dumps([asyncio.run(ask(url)) for url in sys.argv[1:]]))
"""


async def said(*urls: str, proxy: str, **more: str) -> list[str]:
    """What a client says that asks *urls* in an environment with *proxy*."""
    environment = {"http_proxy": proxy, "https_proxy": proxy, "no_proxy": "", **more}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASK, *urls),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    sentences: list[str] = json.loads(output)
    return sentences


async def test_an_error_behind_a_proxy_names_it_without_its_password() -> None:
    async with Loopback(models=Answer("policy denies it", 502)).up() as url:
        place = url.removesuffix("/v1").removeprefix("http://")
        (refused,) = await said("http://model.invalid/v1", proxy=f"http://me:hidden@{place}")
    assert f"http://model.invalid/v1 (through the proxy http://{place}) answered 502" in refused
    assert "hidden" not in refused


async def test_no_login_of_the_users_own_goes_to_a_server(tmp_path: Path) -> None:
    """Aiohttp would read ~/.netrc beside the proxies of the environment."""
    logins = tmp_path / "netrc"
    logins.write_text("default login me password hidden\n")
    logins.chmod(0o600)
    server = Loopback()
    async with server.up() as url:
        proxy = url.removesuffix("/v1").replace("http://", "http://user:pass@")
        for key in ({}, {"KEY": "secret"}):
            assert await said("http://model.invalid/v1", proxy=proxy, NETRC=str(logins), **key) == [
                "answered"
            ]
    headers = [asked.headers for asked in server.asked]
    assert [each.get("Authorization") for each in headers] == [None, "Bearer secret"]
    assert all(each["Proxy-Authorization"].startswith("Basic ") for each in headers)


async def test_no_proxy_stands_before_this_machine_and_a_dead_one_is_named() -> None:
    dead = f"http://127.0.0.1:{unused_port()}"
    async with Loopback().up() as url:
        own = [url.replace("127.0.0.1", host) for host in ("127.0.0.1", "0.0.0.0", "localhost")]  # noqa: S104 - an address to ask
        *answered, unanswered = await said(*own, "http://model.invalid/v1", proxy=dead)
    assert answered == ["answered"] * 3
    assert f"the proxy {dead} before http://model.invalid/v1 does not answer" in unanswered


async def test_a_proxy_that_opens_no_tunnel_is_named() -> None:
    async with Loopback().up() as url:
        proxy = url.removesuffix("/v1")
        (refused,) = await said("https://model.invalid/v1", proxy=proxy)
    assert f"the proxy {proxy} refused a connection to https://model.invalid/v1: 404" in refused
