import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.serve.serving import CHAT, SCRIPT
from tpo.config import Settings
from tpo.errors import ConfigError, RewardError
from tpo.http import RetryPolicy
from tpo.policies.openai import OpenAIPolicy
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.ensemble import Ensemble
from tpo.rewards.scripted import ScriptedReward
from tpo.runs.models import Models
from tpo.serve.server import ServeOptions, endpoint, listen


def test_a_socket_names_its_protocol_so_that_asyncio_sends_small_replies_at_once() -> None:
    with listen("127.0.0.1", 0) as opened:
        assert opened.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_an_error_that_says_what_to_do() -> None:
    with listen("127.0.0.1", 0) as opened:
        port = opened.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1: .*give another --port"):
            listen("127.0.0.1", port)


async def test_no_address_of_any_models_server_reaches_a_client() -> None:
    """Of a policy, a critic, an editor, rewards, gates and judges, in whatever form an error quotes it."""
    settings = Settings(
        policy=("http://policy.internal:1",),
        model="m",
        critic=("http://critic.internal:2/v1",),
        editor=("http://editor.internal:3",),
        reward=("vllm:http://reward.internal:4",),
        gate=("judge:http://gate.internal:5",),
        check_reward="vllm:http://check.internal:6",
        select="tournament",
        select_judge="judge:http://judge.internal:7#name",
    )
    models = Models(OpenAIPolicy("http://policy.internal:1", "m"), ScriptedReward())
    async with endpoint(models, settings, ServeOptions()) as served:
        hidden = served.service.hidden
        names = ("policy", "critic", "editor", "reward", "gate", "check", "judge")
        for number, name in enumerate(names, 1):
            for form in (f"http://{name}.internal:{number}/v1", f"{name}.internal:{number}"):
                said = f"no connection to {form}"
                for secret in hidden:
                    said = said.replace(secret, "")
                assert "internal" not in said, form


async def test_a_policy_that_is_down_is_503_without_its_port() -> None:
    with listen("127.0.0.1", 0) as closed:
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    settings = Settings(policy=(url,), model="m", reward=("tiny",))
    policy = OpenAIPolicy(url, "m", retry=RetryPolicy(timeout=0.0))
    async with endpoint(Models(policy, ScriptedReward()), settings, ServeOptions()) as served:
        body = b'{"model": "m", "messages": [{"role": "user", "content": "Why?"}]}'
        sent = await asked(served.app(), CHAT, body)
    await policy.aclose()
    text = b"".join(message.get("body", b"") for message in sent).decode()
    assert (sent[0]["status"], str(port) in text) == (503, False)


@pytest.mark.parametrize(
    ("values", "is_local", "has_upstream"),
    [
        ({}, True, False),
        ({"policy": ("hf:some/model",)}, True, False),
        ({"policy": ("python:a:b",)}, False, False),
        ({"policy": ("http://policy:1",)}, False, True),
        ({"policy": ("http://policy:1",), "critic": ("tiny",)}, False, True),
        ({"policy": ("http://policy:1",), "editor": ("tiny",)}, True, True),
        ({"policy": ("panel:http://policy:1,tiny",)}, True, False),
    ],
)
async def test_the_kinds_of_writer_and_editor_say_what_a_request_may_hold(
    values: dict[str, Any], is_local: bool, has_upstream: bool
) -> None:
    models = Models(ScriptedPolicy(SCRIPT), ScriptedReward())
    async with endpoint(models, Settings(reward=("tiny",), **values), ServeOptions()) as served:
        assert (served.service.is_local, served.upstream is not None) == (is_local, has_upstream)


async def test_a_check_reward_scores_too_and_a_selection_sees_an_ensembles_members() -> None:
    check = ScriptedReward()
    reward = Ensemble(
        {"vllm:http://a:1": ScriptedReward(), "vllm:http://b:2": ScriptedReward(lambda text: text.count("e"))}
    )
    settings = Settings(
        policy=("http://policy:1",),
        model="m",
        reward=("vllm:http://a:1", "vllm:http://b:2"),
        select="lcb",
        sample_size=2,
        max_iterations=1,
    )
    models = Models(ScriptedPolicy(SCRIPT), reward, check=check)
    async with endpoint(models, settings, ServeOptions()) as served:
        body = b'{"model": "m", "messages": [{"role": "user", "content": "Why?"}]}'
        sent = await asked(served.app(), CHAT, body)
    assert sent[0]["status"] == 200
    assert {call.response for call in check.calls} == {"poor", "fair", "the best"}


async def test_an_ensemble_without_scales_is_known_before_the_first_request() -> None:
    reward = Ensemble({"a": ScriptedReward(), "b": ScriptedReward(lambda text: 1)})
    with pytest.raises(RewardError, match="standardised"):
        async with endpoint(Models(ScriptedPolicy(SCRIPT), reward), Settings(), ServeOptions()):
            pass


async def asked(app: Any, path: str, body: bytes) -> list[dict[str, Any]]:
    """The messages that *app* sends."""
    sent: list[dict[str, Any]] = []

    async def arriving() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "http.request", "body": body}
        await asyncio.Event().wait()

    arrives = arriving()

    async def receive() -> dict[str, Any]:
        return await anext(arrives)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return sent
