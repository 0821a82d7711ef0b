"""The official clients, LangChain and LiteLLM against the endpoint, from an environment of their own."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.serve.client_calls import KEY
from tests.serve.serving import SCRIPT, served
from tpo.policies.scripted import ScriptedPolicy

PYTHON = Path(".venv-clients/bin/python")


@pytest.mark.clients
@pytest.mark.parametrize("client", ["openai", "anthropic", "langchain", "litellm"])
async def test_a_client_works_unchanged(client: str) -> None:
    calls = Path(__file__).with_name("client_calls.py")
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    async with served(ScriptedPolicy(SCRIPT), keys=(KEY,)) as endpoint:
        process = await asyncio.create_subprocess_exec(
            PYTHON,
            calls,
            client,
            endpoint.url,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, failed = await process.communicate()
    assert said.decode().strip() == "ok", failed.decode()
