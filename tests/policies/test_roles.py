"""Policies by role."""

from __future__ import annotations

import pytest

from tpo.config import Settings, load_settings, policy_of, role_identities
from tpo.config.specs import role_options
from tpo.errors import ConfigError
from tpo.methods.catalog import tpo
from tpo.methods.optimize import Optimizer
from tpo.policies.openai import OpenAIPolicy
from tpo.policies.roles import RolePolicy
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.runs.summary import Tally
from tpo.types import Delta, Sampling, Scope, user

SERVERS = {"policy": ["http://w/v1"], "model": "w", "reward": ["tiny"]}


def test_each_role_asks_its_policy_and_its_usage_is_told_apart() -> None:
    writer, critic, editor = ScriptedPolicy(), ScriptedPolicy(), ScriptedPolicy()
    policy = RolePolicy(writer, {"critic": critic, "editor": editor})
    trajectory = Optimizer(policy, ScriptedReward(), tpo(sample_size=2, max_iterations=1)).run("?")
    phases = [[call.scope.phase for call in each.calls] for each in (writer, critic, editor)]
    assert phases == [["sample"], ["loss", "gradient"], ["update"]]
    tally = Tally()
    tally.add(trajectory)
    roles = tally.summary(1.0).roles
    assert {role: usage.calls for role, usage in roles.items()} == {"writer": 1, "critic": 2, "editor": 1}
    assert sum(usage.completion_tokens for usage in roles.values()) == sum(
        usage.completion_tokens for usage in trajectory.usage.values()
    )


def test_a_role_without_a_policy_asks_the_common_one() -> None:
    writer, critic = ScriptedPolicy(), ScriptedPolicy()
    method = tpo(sample_size=1, max_iterations=1)
    Optimizer(RolePolicy(writer, {"critic": critic}), ScriptedReward(), method).run("?")
    assert [call.scope.phase for call in writer.calls] == ["sample", "update"]


class Closable(ScriptedPolicy):
    closed = checked = 0

    async def check(self) -> None:
        self.checked += 1

    async def aclose(self) -> None:
        self.closed += 1


async def test_all_are_checked_and_closed() -> None:
    policies = Closable(), Closable()
    policy = RolePolicy(policies[0], {"editor": policies[1]})
    await policy.check()
    await policy.aclose()
    assert [(each.checked, each.closed) for each in policies] == [(1, 1), (1, 1)]


async def test_settings_build_the_roles_with_models_fields_and_keys_of_their_own() -> None:
    flags = SERVERS | {"critic": ["http://c/v1"], "critic_model": "c", "critic_extra": '{"top_k": 1}'}
    settings = load_settings(flags, {})
    policy = policy_of(settings, {})
    assert isinstance(policy, RolePolicy)
    assert isinstance(policy.policy, OpenAIPolicy)
    keys = {"TPO_API_KEY": "writers-key", "TPO_CRITIC_API_KEY": "critics-key"}
    assert role_options(settings, "critic", keys).api_key == "critics-key"
    assert role_options(settings, "critic", {"TPO_API_KEY": "writers-key"}).api_key is None
    assert role_options(settings, "critic", keys).extra == {"top_k": 1}
    assert role_identities(settings) == {"critic": "c", "critic_extra": {"top_k": 1}}
    assert role_identities(load_settings(SERVERS, {})) == {}
    assert not isinstance(policy_of(load_settings(SERVERS, {}), {}), RolePolicy)
    await policy.aclose()


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"critic_model": "x"}, "--critic-model is for a --critic, and none is named"),
        ({"editor_extra": '{"a": 1}'}, "--editor-extra is for a --editor"),
        (
            {"critic": ["tiny"], "critic_model": "x"},
            "--critic-model is for a server's base URL; --critic tiny",
        ),
        ({"critic": ["nonesuch"]}, "--critic nonesuch: unknown"),
        ({"critic": ["http://c/v1"], "critic_extra": '{"api_key": "secret"}'}, "--critic-extra: api_key"),
    ],
)
def test_roles_that_do_not_fit_are_refused(flags: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(SERVERS | flags, {})
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


def test_roles_are_part_of_the_settings_record() -> None:
    assert Settings(critic=("tiny",)).to_json()["critic"] == ["tiny"]


async def test_deltas_come_from_the_policies_that_have_them() -> None:
    class Whole:
        sample = ScriptedPolicy("b c").sample

    policy = RolePolicy(ScriptedPolicy("x y"), {"critic": Whole()})
    for role, deltas in (("", ["x ", "y"]), ("critic", [])):
        scope = Scope("q", 0, "sample", role=role)
        found = [each async for each in policy.stream((user("hi"),), Sampling(), scope)]
        assert [each.text for each in found if isinstance(each, Delta)] == deltas
        assert len(found) == len(deltas) + 1
