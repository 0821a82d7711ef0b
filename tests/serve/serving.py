"""An endpoint on the loopback in the test's own loop, over scripted models, and a client for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import uvicorn

from tpo.config import Settings
from tpo.policies.base import Policy
from tpo.policies.scripted import Reply as Scripted
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.base import Reward
from tpo.rewards.scripted import ScriptedReward
from tpo.serve.app import Endpoint
from tpo.serve.server import listen
from tpo.serve.service import Service
from tpo.serve.upstream import Upstream
from tpo.types import Phase

CHAT = "/v1/chat/completions"
SETTINGS = Settings(sample_size=2, max_iterations=1)
SCRIPT: dict[Phase | tuple[Phase, int], Scripted] = {
    "sample": ["poor", "fair"],
    "loss": "because",
    "gradient": "do",
    "update": improved("the best"),
}


def asked(text: str = "Why?", **fields: Any) -> dict[str, Any]:
    """A chat request."""
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


async def until(condition: Callable[[], object]) -> None:
    """Return once *condition* holds; a minute without it is a failure."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Reply:
    """A reply, read to its end."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The data of a stream's events, ``[DONE]`` left out."""
        lines = [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"]


@dataclass(frozen=True)
class Client:
    """Sends requests to the endpoint at *url*."""

    url: str
    session: aiohttp.ClientSession
    service: Service

    async def post(self, path: str, body: Any, **headers: str) -> Reply:
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.url + path, data=data, headers=named) as reply:
            return Reply(reply.status, dict(reply.headers), await reply.text())

    async def chat(self, text: str = "Why?", **fields: Any) -> Reply:
        return await self.post(CHAT, asked(text, **fields))

    async def get(self, path: str, **headers: str) -> Reply:
        async with self.session.get(self.url + path, headers=headers) as reply:
            return Reply(reply.status, dict(reply.headers), await reply.text())


@asynccontextmanager
async def served(
    policy: Policy | None = None,
    reward: Reward | None = None,
    *,
    settings: Settings = SETTINGS,
    upstream: Upstream | None = None,
    keys: tuple[str, ...] = (),
    keep_alive: float = 60.0,
    **options: Any,
) -> AsyncIterator[Client]:
    """Serve while the block lasts."""
    service = Service(policy or ScriptedPolicy(), reward or ScriptedReward(), settings, "m", **options)
    opened = listen("127.0.0.1", 0)
    app = Endpoint(service, upstream, keys, keep_alive).app()
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[opened]))
    try:
        async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
            yield Client(f"http://127.0.0.1:{opened.getsockname()[1]}", session, service)
    finally:
        server.should_exit = True
        await serving
