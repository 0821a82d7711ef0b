"""The endpoint as an ASGI application that a server starts; on Ray Serve: tests/scale/test_ray_serve.py."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn

from tests.openai_server import OpenAIServer
from tests.serve.serving import CHAT, asked
from tpo.errors import ConfigError
from tpo.serve.asgi import create_app
from tpo.serve.server import listen

OPTIONS: dict[str, Any] = {
    "model": "scripted",
    "reward": "python:tests.scale.functions:value",
    "sample_size": 2,
    "max_iterations": 1,
}


class _Server(uvicorn.Server):
    """Tells when it has started, or failed to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.up.set()


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[str]:
    """The URL of *app*, which uvicorn starts and stops."""
    with listen("127.0.0.1", 0) as opened:
        server = _Server(uvicorn.Config(app, lifespan="on", log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[opened]))
        try:
            await server.up.wait()
            yield f"http://127.0.0.1:{opened.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def test_a_server_starts_the_application_with_its_models() -> None:
    with OpenAIServer() as policy:
        app = create_app(policy=policy.url, name="best", keys=["secret"], **OPTIONS)
        assert policy.requests == []
        async with started(app) as url, aiohttp.ClientSession(url) as client:
            async with client.post(CHAT, json=asked()) as refused:
                assert refused.status == 401
            headers = {"Authorization": "Bearer secret"}
            async with client.get("/v1/models", headers=headers) as models:
                assert (await models.json())["data"][0]["id"] == "best"
            async with client.post(CHAT, json=asked(model="best"), headers=headers) as answered:
                assert answered.status == 200
                reply = await answered.json()
        assert reply["choices"][0]["message"]["content"]
        assert len(policy.requests) >= 4


def test_options_are_checked_before_the_server_starts() -> None:
    with pytest.raises(ConfigError, match="--sample-size is 0"):
        create_app(sample_size=0)
