"""Methods of the user's own: the examples of docs/methods.md, as a user would try them."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from tpo.errors import ConfigError
from tpo.methods.catalog import build_method
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Trajectory, plain_text

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
EXAMPLES = ["terse", "twofold", "beam"]


def sources() -> dict[str, str]:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return {block.partition(".py")[0][3:]: block for block in blocks if block.startswith('"""')}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    before = list(sys.path)
    with chdir(tmp_path):
        yield tmp_path
    sys.path[:] = before


def ran(here: Path, name: str, policy: ScriptedPolicy, **shape: Any) -> Trajectory:
    (here / f"{name}.py").write_text(sources()[name])
    method = build_method(f"{name}:{name.capitalize()}", **shape)
    trajectory = asyncio.run(Optimizer(policy, ScriptedReward(), method).optimize("Hello?"))
    assert trajectory.error is None
    assert trajectory.method == name
    cost = method.cost(method.sample_size, method.max_iterations)
    made = (len(policy.calls), sum(c.sampling.n for c in policy.calls), trajectory.reward_usage.calls)
    assert made == tuple(cost)
    return trajectory


def test_the_page_has_three_examples() -> None:
    assert list(sources()) == EXAMPLES
    assert all(len(source.splitlines()) < 45 for source in sources().values())


def test_another_wording(here: Path) -> None:
    policy = ScriptedPolicy()
    ran(here, "terse", policy, sample_size=2, max_iterations=1)
    assert [call.scope.phase for call in policy.calls] == ["sample", "loss", "gradient", "update"]
    loss, gradient, update = (plain_text(call.messages[-1]) for call in policy.calls[1:])
    assert "This response is worse than yours" in loss
    assert gradient == "In one sentence: what should change?"
    assert "Make that change." in update


def test_two_critiques_as_branches(here: Path) -> None:
    script = {"sample": ["a", "bbb", "cc"], "update": improved("dddd"), "loss": "l", "gradient": "advice"}
    policy = ScriptedPolicy(script)  # type: ignore[arg-type]
    trajectory = ran(here, "twofold", policy, sample_size=3, max_iterations=1)
    losses = {call.scope.branch: call.messages[-1]["content"] for call in policy.calls[1:3]}
    assert {branch: str(text)[-2:].strip() for branch, text in losses.items()} == {1: "a", 2: "cc"}
    assert str(policy.calls[-1].messages[-1]["content"]).count("advice\n\n") == 2
    assert [c.parents for c in trajectory.steps[0].candidates] == [("0.1",)] * 3


def test_a_beam_search_rewrites_several_parents(here: Path) -> None:
    script = {"sample": ["a", "bbb", "cc"], "critique": "why", "rewrite": [improved("dddd"), improved("e")]}
    policy = ScriptedPolicy(script)  # type: ignore[arg-type]
    trajectory = ran(here, "beam", policy, sample_size=3, max_iterations=2)
    first, second = trajectory.steps
    assert [(c.id, c.parents) for c in first.candidates[::3]] == [
        ("1.0-rewrite.1.0", ("0.1",)),
        ("1.0-rewrite.2.0", ("0.2",)),
    ]
    assert {c.parents[0] for c in second.candidates} == {"1.0-rewrite.1.0", "1.2-rewrite.1.0"}


@pytest.mark.parametrize(
    ("source", "name", "says"),
    [
        ("x = 1", "mine_a:missing", "mine_a has no 'missing'"),
        ("x = 1", "mine_b:x", "must be a Method"),
        ("def x(**shape): return 5", "mine_c:x", "must be a Method.* got 5"),
        ("1 / 0", "mine_d:x", "importing mine_d failed with ZeroDivisionError"),
        ("", "mine_nowhere:x", "no module 'mine_nowhere'"),
        ("from tpo import Recipe", "mine_e:x", r"importing mine_e failed .*tpo\.Recipe .*docs/migration\.md"),
    ],
)
def test_a_name_that_leads_to_no_method_says_why(here: Path, source: str, name: str, says: str) -> None:
    if source:
        (here / f"{name.partition(':')[0]}.py").write_text(source)
    with pytest.raises(ConfigError, match=says):
        build_method(name)
