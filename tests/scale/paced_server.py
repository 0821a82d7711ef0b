"""A model server whose replies depend on the request alone, which counts samples by what was asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import Counter
from typing import Any

from aiohttp import web

from tests.openai_server import OpenAIServer

LATENCY = 0.005
"""Seconds that a reply takes, so that calls are in flight at any moment."""


def hashed(body: dict[str, Any], index: int) -> str:
    """A text of the messages and the sample's own seed."""
    asked = json.dumps([body["messages"], body["seed"] + index])
    text = hashlib.sha256(asked.encode()).hexdigest()[:12]
    update = "<improved_response>" in str(body["messages"][-1]["content"])
    return f"<improved_response>{text}</improved_response>" if update else text


class PacedServer(OpenAIServer):
    """Counts each sample of a query by what was asked; :meth:`wait` returns after so many requests."""

    def __init__(self) -> None:
        super().__init__(hashed)
        self.samples: Counter[str] = Counter()
        self.answered = 0
        self.refused = False
        """True: every request is refused for its key."""
        self.broken = ""
        """A question that is answered with an error."""
        self._changed = threading.Condition()

    def wait(self, requests: int, timeout: float = 600) -> None:
        """Return after *requests* answers."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.answered >= requests, timeout), self.answered

    async def _complete(self, request: web.Request) -> web.Response:
        if self.refused:
            raise web.HTTPUnauthorized(text="401: wrong key")
        body = await request.json()
        if self.broken and body["messages"][0]["content"] == self.broken:
            raise web.HTTPBadRequest(text="no")
        await asyncio.sleep(LATENCY)
        checked = body["messages"][-1]["content"] == "Hello"  # a policy that is checked before a run
        for index in range(0 if checked else body.get("n") or 1):
            self.samples[json.dumps([body["messages"], body["seed"] + index])] += 1
        response = await super()._complete(request)
        with self._changed:
            self.answered += 1
            self._changed.notify_all()
        return response
