"""API keys of clients."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from tpo.serve.access import AccessControl


async def status(
    headers: dict[str, str], path: str = "/v1/models", keys: tuple[str, ...] = ("alpha",)
) -> int:
    sent: list[Message] = []

    async def served(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await AccessControl(served, keys)({"type": "http", "path": path, "headers": raw}, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer alpha"},
        {"Authorization": "bearer alpha"},  # schemes of HTTP know no case
        {"Authorization": "BEARER alpha"},
        {"X-Api-Key": "alpha"},
    ],
)
async def test_a_key_is_taken_from_either_header(headers: dict[str, str]) -> None:
    assert await status(headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer alph"},
        {"Authorization": "Bearer alphaa"},
        {"Authorization": "Bearer ALPHA"},
        {"Authorization": "Bearer älpha"},
        {"X-Api-Key": "", "Authorization": "Basic alpha"},
    ],
)
async def test_anything_else_is_refused(headers: dict[str, str]) -> None:
    assert await status(headers) == 401


async def test_other_paths_and_endpoints_without_keys_are_open() -> None:
    assert await status({}, "/health") == 200
    assert await status({}, keys=()) == 200
