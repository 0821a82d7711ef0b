"""Every Python block of the documentation runs: page by page, with models that are at hand."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

import tpo
from tests.docs.pages import Block, blocks
from tests.openai_server import OpenAIServer, improving
from tests.serve.serving import served
from tpo.tiny import policy_path, reward_path

ELSEWHERE = {"from trl import": "tests/export/test_trainer.py", "import ray\n": "tests/scale/test_ray.py"}
"""Blocks that another test runs or whose objects it tests, by a part of their text."""
PAGES_ELSEWHERE = {
    "docs/programs.md": "tests/serve/test_programs.py",
    "docs/rewards-models.md": "tests/rewards/test_known_models.py",
}
"""Pages whose blocks another test runs."""


def model(messages: list[dict[str, str]], temperature: float, seed: int) -> str:
    asked = messages[-1]["content"]
    text = f"waves, {temperature} and {seed % 97}"
    return f"<improved_response>{text}</improved_response>" if "improved_response" in asked else text


class Classifier:
    def predict(self, pairs: list[tuple[Any, str]]) -> list[float]:
        return [float(len(response)) for _, response in pairs]


def given(page: str) -> dict[str, Any]:
    """Return the names that *page* takes as given."""
    policy, reward = tpo.ScriptedPolicy(), tpo.ScriptedReward()
    names: dict[str, Any] = {
        "my_model": model,
        "my_scorer": lambda question, response: len(response),
        "queries": [tpo.Query("q1", (tpo.user("Why?"),))],
    }
    if page == "docs/methods.md":
        names |= {"policy": policy, "reward": reward, "method": tpo.build_method("bon")}
    if page == "docs/rewards.md":
        names |= {"model": Classifier()}
    if page == "docs/migration.md":
        names |= {name: getattr(tpo, name) for name in tpo.__all__ if name != "run"}
    return names


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """Enter a directory with the files that pages name, importable as a working directory is."""
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Why?"}\n{"prompt": "How?"}\n')
    tpo.run(["Why?"], policy=tpo.ScriptedPolicy(), reward=tpo.ScriptedReward(), out=tmp_path / "runs/NAME")
    before, modules = list(sys.path), set(sys.modules)
    with chdir(tmp_path):
        yield tmp_path
    sys.path[:] = before
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def reply(body: dict[str, Any], index: int) -> str:
    """Answer as a policy that knows the tags of both ways to write an update."""
    if "<IMPROVED_VARIABLE>" in str(body["messages"]):
        return f"<IMPROVED_VARIABLE>Thank you, number {index}</IMPROVED_VARIABLE>"
    if "A pear." in str(body["messages"]):
        return "A"  # a judge of pairs
    return improving(body, index)


def with_models(source: str, server: str, endpoint: str) -> str:
    """Return *source* with models that are at hand in place of those that it names."""
    for pattern, name in {
        r"http://127\.0\.0\.1:8080/v1": f"{endpoint}/v1",
        r"tiny@tpo": "m@tpo",
        r"http://(127\.0\.0\.1|localhost|a):8\d+/v1": server,
        r"http://b:\d+/v1": server.replace("127.0.0.1", "localhost"),
        r"vllm:http://localhost:8001": "tiny",
        r"http://localhost:8001(?=\")": server,
        r"hf:(ORG/MODEL|sfairXC/FsfairX-LLaMA3-RM-v0\.1)": "tiny",
        r"sfairXC/FsfairX-LLaMA3-RM-v0\.1": str(reward_path()),
        r"Qwen/Qwen3-1\.7B": str(policy_path()),
    }.items():
        source = re.sub(pattern, name, source)
    return source


def execute(block: Block, source: str, names: dict[str, Any]) -> None:
    code = compile(source, block.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))  # noqa: S307 - our own page
    else:
        exec(code, names)  # noqa: S102 - as above


@pytest.mark.parametrize("page", sorted({block.page for block in blocks("python")} - PAGES_ELSEWHERE.keys()))
async def test_the_blocks_of_a_page_run(page: str, here: Path) -> None:
    names = given(page)
    async with OpenAIServer(reply).up() as server, served() as client:
        for block in blocks("python"):
            if (
                block.page == page
                and not block.is_former
                and not any(each in block.text for each in ELSEWHERE)
            ):
                await asyncio.to_thread(execute, block, with_models(block.text, server, client.url), names)


def test_a_wrong_name_is_noticed() -> None:
    with pytest.raises(ImportError):
        execute(Block("page", 1, "python", ""), "from tpo import Optimiser", {})
