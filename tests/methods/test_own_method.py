"""A method of the user's own: the example of docs/methods.md, as a user would try it."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from tpo.errors import ConfigError
from tpo.methods.catalog import build_method
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def example() -> str:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (block,) = blocks
    return block


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    before = list(sys.path)
    with chdir(tmp_path):
        yield tmp_path
    sys.path[:] = before


def test_the_pages_example_is_short_and_works_as_a_method(here: Path) -> None:
    source = example()
    assert len(source.splitlines()) < 40
    (here / "direct.py").write_text(source)
    recipe = build_method("direct:Direct", sample_size=3, max_iterations=2)
    policy = ScriptedPolicy()
    trajectory = asyncio.run(Optimizer(policy, ScriptedReward(), recipe).optimize("Hello?"))
    assert trajectory.method == "direct"
    assert [call.scope.phase for call in policy.calls] == ["sample", "update", "update"]
    assert len(trajectory.pool) == 9
    assert "This response is weaker than yours" in str(policy.calls[-1].messages[-1]["content"])


@pytest.mark.parametrize(
    ("source", "name", "says"),
    [
        ("x = 1", "mine_a:missing", "mine_a has no 'missing'"),
        ("x = 1", "mine_b:x", "must be a Method"),
        ("def x(**shape): return 5", "mine_c:x", "must be a Method.* got 5"),
        ("1 / 0", "mine_d:x", "importing mine_d failed with ZeroDivisionError"),
        ("", "mine_nowhere:x", "no module 'mine_nowhere'"),
    ],
)
def test_a_name_that_leads_to_no_method_says_why(here: Path, source: str, name: str, says: str) -> None:
    if source:
        (here / f"{name.partition(':')[0]}.py").write_text(source)
    with pytest.raises(ConfigError, match=says):
        build_method(name)
