"""A model server whose replies depend on the request alone, which counts samples by what was asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import threading
import time
from collections import Counter
from typing import Any

from aiohttp import web

from tests.openai_server import OpenAIServer, Reply

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

    def __init__(self, reply: Reply = hashed) -> None:
        super().__init__(reply)
        self.samples: Counter[str] = Counter()
        self.answered = 0
        self.refused = False
        """True: every request is refused for its key."""
        self.broken = ""
        """A question that is answered with an error."""
        self._changed = threading.Condition()

    def wait(self, requests: int, process: subprocess.Popen[str], patience: float = 300) -> None:
        """Return after *requests* answers to *process*, of which each takes at most *patience* seconds."""
        with self._changed:
            while self.answered < requests:
                before, deadline = self.answered, time.monotonic() + patience
                while self.answered == before:
                    told = f"{before:,} of {requests:,} answers"
                    assert process.poll() is None, f"{told}: the driver has ended"
                    assert time.monotonic() < deadline, f"{told}: none for {patience} s"
                    self._changed.wait(1.0)

    async def work(self, body: dict[str, Any]) -> None:
        """Take the time that the request *body* takes."""
        del body
        await asyncio.sleep(LATENCY)

    async def _complete(self, request: web.Request) -> web.Response:
        if self.refused:
            raise web.HTTPUnauthorized(text="401: wrong key")
        body = await request.json()
        if self.broken and body["messages"][0]["content"] == self.broken:
            raise web.HTTPBadRequest(text="no")
        await self.work(body)
        checked = body["messages"][-1]["content"] == "Hello"  # a policy that is checked before a run
        for index in range(0 if checked else body.get("n") or 1):
            self.samples[json.dumps([body["messages"], body["seed"] + index])] += 1
        response = await super()._complete(request)
        with self._changed:
            self.answered += 1
            self._changed.notify_all()
        return response
