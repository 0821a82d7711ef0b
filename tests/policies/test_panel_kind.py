"""A panel: first samples shared out, everything else by the first member."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.openai_server import OpenAIServer
from tpo.config import Settings, weights_of
from tpo.entry_points import POLICIES
from tpo.errors import ConfigError
from tpo.methods.fusion import fusion
from tpo.methods.optimize import Optimizer
from tpo.methods.seeds import MIN_STRIDE
from tpo.policies.kinds.panel import STRIDE, PanelPolicy
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.registry import ModelOptions, parse
from tpo.rewards.scripted import ScriptedReward
from tpo.store.journal import Journal
from tpo.store.journaled_models import JournaledPolicy
from tpo.types import Completion, Sampling, Scope, user

MESSAGES = (user("Hello?"),)
FIRST = Scope("q", 0, "sample")
BASE = 7 * MIN_STRIDE


def named(name: str) -> ScriptedPolicy:
    """A policy that says its name and the seed of each sample."""

    def say(call: PolicyCall, index: int) -> str:
        text = f"{name} {call.sampling.seed + index}"
        return text if call.scope.step == 0 else improved(text)

    return ScriptedPolicy(say)


def panel() -> PanelPolicy:
    return PanelPolicy([named("a"), named("b"), named("c")])


async def drawn(policy: Any, n: int, scope: Scope = FIRST, seed: int = BASE) -> list[str]:
    found = [each async for each in policy.sample(MESSAGES, Sampling(n, 0.7, 1.0, 9, seed), scope)]
    return [each.text for each in sorted(found, key=lambda each: each.index)]


def test_first_samples_are_shared_out_and_do_not_depend_on_n() -> None:
    seven = asyncio.run(drawn(panel(), 7))
    assert seven == [f"{name} {BASE + k}" for name, k in zip("abcabca", (0, 1, 2, 1, 2, 3, 2), strict=True)]
    assert asyncio.run(drawn(panel(), 4)) == seven[:4]


def test_one_sample_alone_is_that_of_the_whole_draw() -> None:
    seven = asyncio.run(drawn(panel(), 7))
    for index in range(7):
        (alone,) = asyncio.run(drawn(panel(), 1, seed=BASE + index))
        assert alone == seven[index]


def test_the_stride_is_that_of_the_seeds() -> None:
    assert STRIDE == MIN_STRIDE


def test_an_interrupted_draw_is_completed_by_the_members_that_began_it(tmp_path: Path) -> None:
    async def resumed() -> list[str]:
        sampling = Sampling(7, 0.7, 1.0, 9, BASE)
        whole = Journal(tmp_path / "whole.jsonl")
        kept: dict[int, Completion] = {}
        async for each in JournaledPolicy(panel(), whole).sample(MESSAGES, sampling, FIRST):
            kept[each.index] = each
        await whole.close()
        lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
        (tmp_path / "half.jsonl").write_bytes(b"".join(lines[:4]))
        half = Journal(tmp_path / "half.jsonl")
        try:
            return await drawn(JournaledPolicy(panel(), half), 7)
        finally:
            await half.close()

    assert asyncio.run(resumed()) == asyncio.run(drawn(panel(), 7))


def test_the_first_member_fuses_the_samples_of_all() -> None:
    members = [named("a"), named("b")]
    trajectory = Optimizer(PanelPolicy(members), ScriptedReward(), fusion(sample_size=4)).run("Hello?")
    assert [each.text[0] for each in trajectory.initial] == ["a", "b", "a", "b"]
    assert [call.scope.phase for call in members[0].calls] == ["sample", "fusion"]
    assert [call.scope.phase for call in members[1].calls] == ["sample"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("panel:", "at least two"),
        ("panel:tiny", "at least two"),
        ("panel:tiny,tiny", "at least two different"),
        ("panel:tiny,nothing", "nothing: unknown"),
        ("panel:tiny,http://u:p@host/v1", "password"),
    ],
)
def test_a_panel_that_is_none_is_refused(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse(POLICIES, name, "--policy")


def test_its_identity_is_that_of_its_models_and_the_key_is_the_first_members() -> None:
    spec = parse(POLICIES, "panel:http://one:1/v1,http://two:2/v1,tiny", "--policy")
    options = ModelOptions(model="big,small,", api_key="secret", extra={"top_k": 1})
    assert spec.identity(options) == "panel:big,small,tiny"
    assert spec.urls == ("http://one:1/v1", "http://two:2/v1")
    given = [own for _, own in spec._with_options(options)]  # type: ignore[attr-defined]
    assert [each.api_key for each in given] == ["secret", None, None]
    assert [each.model for each in given] == ["big", "small", None]
    with pytest.raises(ConfigError, match="name 3 models"):
        spec.identity(ModelOptions(model="big"))


def test_weights_and_sources_of_all_members_are_part_of_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(name.encode())
    (tmp_path / "panel_member.py").write_text("def say(messages):\n    return 'a'\n")
    monkeypatch.syspath_prepend(tmp_path)
    first, second = f"hf:{tmp_path}/one", f"hf:{tmp_path}/two"
    settings = Settings(policy=(f"panel:{first},{second},python:panel_member:say",))
    weights = weights_of(settings)
    assert weights[f"policy {first}"] != weights[f"policy {second}"]
    assert "source of policy python:panel_member:say" in weights
    (tmp_path / "two" / "model.safetensors").write_bytes(b"tuned")
    assert {name for name, digest in weights_of(settings).items() if digest != weights[name]} == {
        f"policy {second}"
    }


def test_the_models_of_its_servers_are_asked_for() -> None:
    with OpenAIServer() as one, OpenAIServer() as other:
        spec = parse(POLICIES, f"panel:{one.url},{other.url}", "--policy")
        assert asyncio.run(spec.find_model(ModelOptions())) == "scripted,scripted"
