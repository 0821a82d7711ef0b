"""``/ready`` asks every model that requests need."""

import pytest

from tests.serve.serving import served
from tpo.config import Settings
from tpo.errors import PolicyError
from tpo.policies.roles import RolePolicy
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import CRITIC, EDITOR

CRITICS = Settings(critic=("http://127.0.0.1:1",), editor=("http://127.0.0.1:2",))


@pytest.mark.parametrize("role", [CRITIC, EDITOR])
async def test_a_role_that_is_down_is_not_ready(role: str) -> None:
    down = ScriptedPolicy({"sample": PolicyError("down")})
    async with served(RolePolicy(ScriptedPolicy(), {role: down}), settings=CRITICS) as client:
        reply = await client.get("/ready")
    assert (reply.status, reply.json["reason"]) == (503, f"the {role} does not answer")


async def test_a_models_own_bug_is_not_ready() -> None:
    def broken(text: str) -> float:
        raise RuntimeError("secret detail")

    async with served(reward=ScriptedReward(broken)) as client:
        reply = await client.get("/ready")
    assert (reply.status, reply.json["reason"]) == (503, "the reward does not answer")
