"""The official clients, LangChain and LiteLLM against the endpoint, from an environment of their own."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from tests.serve.client_calls import KEY
from tests.serve.serving import SCRIPT, served
from tpo.policies.scripted import ScriptedPolicy

PYTHON = Path(".venv-clients/bin/python")
PAGE = Path("docs/serve.md").read_text("utf-8")


@pytest.mark.clients
@pytest.mark.parametrize("client", ["openai", "anthropic", "langchain", "litellm"])
async def test_a_client_works_unchanged(client: str) -> None:
    calls = Path(__file__).with_name("client_calls.py")
    async with served(ScriptedPolicy(SCRIPT), keys=(KEY,)) as endpoint:
        assert await printed(calls, client, endpoint.url) == "ok"


@pytest.mark.clients
async def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert '"tiny@' in example
    async with served(ScriptedPolicy(SCRIPT), keys=(KEY,)) as endpoint:
        here = {"http://127.0.0.1:8080": endpoint.url, '"..."': f'"{KEY}"', '"tiny@': '"m@'}
        for text, local in here.items():
            assert text in example
            example = example.replace(text, local)
        file = tmp_path / "example.py"
        file.write_text(example)
        assert await printed(file) == "poor [4.0]"  # its target reward is met


async def printed(*arguments: str | Path) -> str:
    """What a program in the clients' environment prints."""
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, failed = await process.communicate()
    assert process.returncode == 0, failed.decode()
    return said.decode().strip()
