"""The page on runs shows code that works, and names the keys that are there."""

import contextlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runs.models import policy, queries, reward
from tests.store.values import trajectory
from tpo.store import read_run
from tpo.store.jsonline import unseal
from tpo.store.trajectory_line import encode_trajectory

PAGE = (Path(__file__).parents[2] / "docs" / "runs.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def test_the_examples_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reading, running = BLOCKS
    names: dict[str, Any] = {}
    exec(running, names)  # noqa: S102 - the page is ours
    main: Callable[..., Awaitable[Any]] = names["main"]
    with contextlib.chdir(tmp_path):
        found = await main(queries(2), policy(), reward())
        exec(reading.replace("NAME", "mine"), {})  # noqa: S102 - as above
    assert found.summary.finished == 2
    assert capsys.readouterr().out.startswith("q")
    assert read_run(tmp_path / "runs" / "mine").ended is not None


def test_every_key_of_a_trajectory_is_told() -> None:
    record = unseal(encode_trajectory(trajectory("q")))
    for key in [*record, *record["candidates"][0], *record["steps"][0]]:
        assert key in PAGE
