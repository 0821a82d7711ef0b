"""Ceilings of the operator, and requests made to break the endpoint."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.serve.serving import CHAT, SCRIPT, SETTINGS, served, until
from tpo.config import Settings
from tpo.errors import ConfigError
from tpo.http.failures import StreamedReply
from tpo.methods.need import NeedModel, write_need
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.serve.request import Limits
from tpo.serve.service import Service
from tpo.serve.upstream import Upstream


async def test_a_token_budget_stops_and_says_so_and_has_a_ceiling() -> None:
    async with served(ScriptedPolicy(SCRIPT)) as client:
        reply = (await client.chat(tpo={"token_budget": 1})).json
        assert reply["tpo"]["stop_reason"] == "token_budget"
    async with served(ScriptedPolicy(SCRIPT), limits=Limits(token_budget=1)) as client:
        for controls in ({}, {"token_budget": 10**6}):
            reply = (await client.chat(tpo=controls)).json
            assert reply["tpo"]["stop_reason"] == "token_budget"
    async with served(ScriptedPolicy(SCRIPT), settings=replace(SETTINGS, token_budget=1)) as client:
        reply = (await client.chat(tpo={"token_budget": 10**6})).json
        assert reply["tpo"]["stop_reason"] == "max_iterations"


async def test_the_operator_chooses_the_methods_that_clients_may_name() -> None:
    async with served(ScriptedPolicy(SCRIPT), limits=Limits(methods=("bon",))) as client:
        for model, controls, status in (
            ("m", {}, 200),
            ("m@bon-2", {}, 200),
            ("m@off", {}, 200),
            ("m", {"method": "revision"}, 400),
            ("m@revision-d1", {}, 400),
        ):
            reply = await client.chat(model=model, tpo=controls)
            assert reply.status == status, (model, controls)


async def test_without_places_to_wait_a_free_server_still_answers() -> None:
    go = asyncio.Event()
    policy = ScriptedPolicy(SCRIPT, before=lambda *_: go.wait())
    async with served(policy, limits=Limits(running=1, waiting=0)) as client:
        first = asyncio.create_task(client.chat("1"))
        await until(lambda: client.service.running)
        assert (await client.chat("2")).status == 429
        go.set()
        assert (await first).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_many_requests_at_once_do_not_pass_the_ceiling_of_waiting_ones(stream: bool) -> None:
    go = asyncio.Event()
    policy = ScriptedPolicy(SCRIPT, before=lambda *_: go.wait())
    async with served(policy, limits=Limits(running=1, waiting=3)) as client:
        asked = [asyncio.create_task(client.chat(str(i), stream=stream)) for i in range(30)]
        await until(lambda: sum(task.done() for task in asked) >= 26)
        assert {task.result().status for task in asked if task.done()} == {429}
        go.set()
        statuses = [(await task).status for task in asked]
        assert statuses.count(200) == 4
        assert (client.service.running, client.service.waiting) == (0, 0)


@pytest.mark.parametrize(
    "body",
    [
        '{"model": "m", "messages": [{"role": "user", "content": "a"}], "x": ' + "[" * 400 + "]" * 400 + "}",
        '{"model": "m", "messages": [{"role": "user", "content": "a"}], "tpo": {"\\ud800": 1}}',
        '{"model": "\\ud800", "messages": [{"role": "user", "content": "a"}]}',
        '{"model": "m", "messages": [{"role": "user", "content": "a"}], "temperature": NaN}',
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/v1/messages"])
async def test_a_hostile_body_is_refused_in_the_apis_own_form(path: str, body: str) -> None:
    async with served(ScriptedPolicy(SCRIPT)) as client:
        reply = await client.post(path, body.replace("{", '{"input": "a", "max_tokens": 9, ', 1))
    assert reply.status in (400, 404)
    assert reply.json["error"]["type"] in ("invalid_request_error", "not_found_error")


async def test_half_a_character_in_a_models_text_is_sent_as_it_is() -> None:
    async with served(ScriptedPolicy(SCRIPT | {"sample": "half \ud83d"})) as client:
        for stream in (False, True):
            reply = await client.chat(model="m@bon-1", stream=stream)
            assert (reply.status, "half \\ud83d" in reply.text) == (200, True)


@pytest.mark.parametrize("settings", [{"stop": {"nope": 1}}, {"token_weights": {"prompt": 1}}])
async def test_a_stopping_rule_that_cannot_be_built_is_known_before_the_first_request(
    settings: dict[str, Any],
) -> None:
    with pytest.raises(ConfigError):
        Service(ScriptedPolicy(), ScriptedReward(), Settings(**settings), "m")


async def test_a_request_of_another_shape_than_the_file_of_when_needed_is_refused(tmp_path: Path) -> None:
    write_need(
        tmp_path / "need.json", NeedModel("tiny", "tiny", 0.0, 0.0, 0.0, 1.0, 40, "tpo D1-N2", sample_size=2)
    )
    settings = replace(SETTINGS, when_needed=tmp_path / "need.json")
    async with served(ScriptedPolicy(SCRIPT), settings=settings) as client:
        assert (await client.chat()).json["tpo"]["stop_reason"] == "when_needed"
        reply = await client.chat(tpo={"sample_size": 3})
        assert reply.status == 400
        assert "its file is of tpo D1-N2" in reply.text


async def test_an_enormous_deadline_is_no_deadline() -> None:
    async with served(ScriptedPolicy(SCRIPT)) as client:
        assert (await client.chat(tpo={"deadline": 1e29})).json["tpo"]["stop_reason"] == "max_iterations"


class Silent(Upstream):
    """Never answers."""

    @asynccontextmanager
    async def complete(self, body: Mapping[str, Any]) -> AsyncIterator[StreamedReply]:
        await asyncio.Event().wait()
        yield StreamedReply(200, {}, self._chunks())

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("is_upstream", [False, True])
async def test_the_deadline_holds_for_requests_that_are_passed_on(stream: bool, is_upstream: bool) -> None:
    silent = Silent(["http://127.0.0.1:1/v1"], "m", None, timeout=60) if is_upstream else None
    policy = ScriptedPolicy(SCRIPT, before=lambda *_: asyncio.Event().wait())
    async with served(policy, limits=Limits(deadline=0.05), upstream=silent) as client:
        reply = await client.chat(model="m@off", stream=stream)
    error = reply.events[-1]["error"] if stream and not is_upstream else reply.json["error"]
    assert error["type"] == "timeout_error"
