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
from tpo.serve import asgi, server
from tpo.serve.asgi import create_app
from tpo.serve.request import Limits
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
async def started(app: Any, **options: Any) -> AsyncIterator[str]:
    """The URL of *app*, which uvicorn starts and stops."""
    with listen("127.0.0.1", 0) as opened:
        running = _Server(uvicorn.Config(app, lifespan="on", log_level="warning", **options))
        serving = asyncio.create_task(running.serve(sockets=[opened]))
        try:
            await running.up.wait()
            yield f"http://127.0.0.1:{opened.getsockname()[1]}"
        finally:
            running.should_exit = True
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


async def test_keys_limits_and_retries_come_from_the_environment_as_of_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TPO_SERVE_API_KEYS", "one, two")
    monkeypatch.setenv("TPO_CONCURRENCY", "3")
    seen: dict[str, Any] = {}

    def endpoint(models: Any, settings: Any, options: Any, environment: Any) -> Any:
        seen.update(settings=settings, options=options)
        return server.endpoint(models, settings, options, environment)

    monkeypatch.setattr(asgi, "endpoint", endpoint)
    with OpenAIServer() as policy:
        app = create_app(policy=policy.url, **OPTIONS)
        async with started(app, root_path="/llm") as url, aiohttp.ClientSession() as client:
            for key, status in (("one", 200), ("two", 200), ("three", 401), ("", 401)):
                headers = {"X-Api-Key": key} if key else {}
                async with client.get(f"{url}/v1/models", headers=headers) as answered:
                    assert answered.status == status
            async with client.get(f"{url}/health") as answered:
                assert answered.status == 200
    assert seen["settings"].retry_timeout == 10
    assert seen["options"].limits == Limits(running=3)


def test_an_application_without_keys_says_so(caplog: pytest.LogCaptureFixture) -> None:
    create_app(policy="http://127.0.0.1:1/v1", **OPTIONS)
    assert "no API key is required: set TPO_SERVE_API_KEYS" in caplog.text


def test_options_are_checked_before_the_server_starts() -> None:
    with pytest.raises(ConfigError, match="--sample-size is 0"):
        create_app(sample_size=0)
    with pytest.raises(ConfigError, match="max_deadline: no such setting; did you mean deadline"):
        create_app(max_deadline=120)
    with pytest.raises(ConfigError, match="give a list of keys"):
        create_app(keys="secret")
