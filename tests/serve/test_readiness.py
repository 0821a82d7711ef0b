"""``/ready`` asks every model that requests need."""

from dataclasses import replace

import pytest

from tests.serve.serving import SCRIPT, served
from tpo.config import Settings
from tpo.errors import PolicyError
from tpo.policies.roles import RolePolicy
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.serve.readiness import READY_SECONDS
from tpo.types import CRITIC, EDITOR, WRITER

CRITICS = Settings(critic=("http://127.0.0.1:1",), editor=("http://127.0.0.1:2",))


@pytest.mark.parametrize("role", [CRITIC, EDITOR])
async def test_a_role_that_is_down_is_not_ready(role: str) -> None:
    down = ScriptedPolicy({"sample": PolicyError("down")})
    async with served(RolePolicy(ScriptedPolicy(), {role: down}), settings=CRITICS) as client:
        reply = await client.get("/ready")
    assert (reply.status, reply.json["reason"]) == (503, f"the {role} does not answer")


async def test_models_are_asked_with_the_sampling_values_of_requests() -> None:
    """Some servers take temperature 1 alone, or write no fewer tokens than 16."""
    settings = replace(CRITICS, temperature=1.0, critique_temperature=0.9, max_tokens=500)
    policy = ScriptedPolicy()
    async with served(policy, settings=settings) as client:
        assert (await client.get("/ready")).status == 200
    asked = {call.scope.role: call.sampling for call in policy.calls}
    assert {role: (each.temperature, each.n, each.max_tokens) for role, each in asked.items()} == {
        WRITER: (1.0, 1, 16),
        CRITIC: (0.9, 1, 16),
        EDITOR: (1.0, 1, 16),
    }


async def test_a_models_own_bug_is_not_ready() -> None:
    def broken(text: str) -> float:
        raise RuntimeError("secret detail")

    async with served(reward=ScriptedReward(broken)) as client:
        reply = await client.get("/ready")
    assert (reply.status, reply.json["reason"]) == (503, "the reward does not answer")


async def test_a_busy_server_whose_requests_are_answered_is_ready() -> None:
    """A question of its own would wait behind them."""
    now, asked_alone = 0.0, []

    async def wait(call: PolicyCall, index: int) -> None:
        if call.scope.query == "ready":
            asked_alone.append(call)
            raise PolicyError("the queue is long")

    async with served(ScriptedPolicy(SCRIPT, before=wait)) as client:
        client.service.readiness._now = lambda: now
        assert (await client.chat()).status == 200
        assert (await client.get("/ready")).status == 200
        assert asked_alone == []
        now = READY_SECONDS + 1
        assert (await client.get("/ready")).status == 503
