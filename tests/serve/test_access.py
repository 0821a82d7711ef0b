"""API keys of clients."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from tpo.serve.access import AccessControl


async def status(
    headers: dict[str, str], path: str = "/v1/models", keys: tuple[str, ...] = ("alpha",), prefix: str = ""
) -> int:
    sent: list[Message] = []

    async def served(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": prefix + path, "root_path": prefix, "headers": raw}
    await AccessControl(served, keys)(scope, receive, send)
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


@pytest.mark.parametrize("prefix", ["", "/llm", "/v1"])
async def test_the_operators_paths_and_endpoints_without_keys_are_open(prefix: str) -> None:
    assert await status({}, "/health", prefix=prefix) == 200
    assert await status({}, "/health/", prefix=prefix) == 200
    assert await status({}, keys=(), prefix=prefix) == 200


@pytest.mark.parametrize("path", ["/v1/models", "/v1/messages", "/v1", "//v1/models", "/healthy", "/new"])
@pytest.mark.parametrize("prefix", ["", "/llm", "/health"])
async def test_all_other_paths_need_a_key_under_any_prefix(path: str, prefix: str) -> None:
    assert await status({}, path, prefix=prefix) == 401
    assert await status({"X-Api-Key": "alpha"}, path, prefix=prefix) == 200
