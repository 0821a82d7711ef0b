from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tpo.http import HttpClient
from tpo.rewards.decisions.tokens import token_ids

VOCABULARY = {"1": [11], "10": [11, 12], "yes": [7]}


async def ids_of(reply: Any, status: int = 200) -> list[int | None] | None:
    async def tokenize(request: web.Request) -> web.Response:
        body = await request.json()
        found = {"tokens": VOCABULARY[body["prompt"]]} if reply is None else reply
        return web.json_response(found, status=status)

    app = web.Application()
    app.router.add_post("/tokenize", tokenize)
    async with TestServer(app) as server:
        client = HttpClient(str(server.make_url("/v1")))
        try:
            return await token_ids(client, "m", list(VOCABULARY))
        finally:
            await client.aclose()


async def test_a_label_of_one_token_has_an_id_and_one_of_several_has_none() -> None:
    assert await ids_of(None) == [11, None, 7]


@pytest.mark.parametrize(
    ("reply", "status"), [({}, 404), ({"count": 1}, 200), ([], 200), ({"tokens": ["a"]}, 200)]
)
async def test_a_server_without_token_ids_is_no_failure(reply: Any, status: int) -> None:
    assert await ids_of(reply, status) is None
