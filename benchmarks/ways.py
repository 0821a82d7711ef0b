"""Ways to ask a server for N samples: one request with ``n``, N requests, or one request that streams.

Each call's prompt is salted, so that no way finds in the server's prefix cache what another one read.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

Body = Mapping[str, Any]
"""A chat-completions request without ``n`` and ``stream``."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """When each sample of a call was there, in seconds from its start, and the tokens of all."""

    finished: tuple[float, ...]
    tokens: int

    @property
    def head_start(self) -> float:
        """Seconds that a sample is there before its slowest sibling, on the mean: what scoring can use."""
        return max(self.finished) - sum(self.finished) / len(self.finished)


Way = Callable[[aiohttp.ClientSession, str, Body, int], Awaitable[Drawn]]


async def together(session: aiohttp.ClientSession, url: str, body: Body, n: int) -> Drawn:
    """One request; all samples come when the slowest is written."""
    began = time.perf_counter()
    reply = await _post(session, url, {**body, "n": n})
    seconds = time.perf_counter() - began
    return Drawn((seconds,) * len(reply["choices"]), reply["usage"]["completion_tokens"])


async def singly(session: aiohttp.ClientSession, url: str, body: Body, n: int) -> Drawn:
    """A request a sample, sample *i* with the seed of the call plus *i*, as servers count them."""
    began = time.perf_counter()

    async def one(index: int) -> tuple[float, int]:
        reply = await _post(session, url, {**body, "seed": body["seed"] + index})
        return time.perf_counter() - began, reply["usage"]["completion_tokens"]

    found = await asyncio.gather(*(one(index) for index in range(n)))
    return Drawn(tuple(seconds for seconds, _ in found), sum(tokens for _, tokens in found))


async def streamed(session: aiohttp.ClientSession, url: str, body: Body, n: int) -> Drawn:
    """One request, read token by token; a sample is there when its finish reason comes."""
    began, tokens = time.perf_counter(), 0
    finished: list[float] = []
    asked = {**body, "n": n, "stream": True, "stream_options": {"include_usage": True}}
    async with session.post(url, json=asked) as reply:
        reply.raise_for_status()
        async for event in events(reply.content):
            finished += [
                time.perf_counter() - began for choice in event["choices"] if choice.get("finish_reason")
            ]
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    if len(finished) != n:
        raise RuntimeError(f"the server finished {len(finished)} of {n} streamed samples")
    return Drawn(tuple(finished), tokens)


async def events(lines: AsyncIterator[bytes] | aiohttp.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """The JSON events of a stream of server-sent *lines*, up to its end mark."""
    async for line in lines:
        data = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or not data:
            continue
        if data == b"[DONE]":
            return
        yield json.loads(data)


async def _post(session: aiohttp.ClientSession, url: str, body: Body) -> Any:
    async with session.post(url, json=body) as reply:
        reply.raise_for_status()
        return json.loads(await reply.read())


WAYS: Mapping[str, Way] = {"one request with n": together, "n requests": singly, "streaming": streamed}
