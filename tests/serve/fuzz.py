"""Random requests by schemathesis against a running endpoint, from its own OpenAPI document.

    python -m tests.serve.fuzz [SECONDS]

Ends with status 1 if a request makes the endpoint answer 500, hang or break the document.
"""

from __future__ import annotations

import asyncio
import sys

from tests.serve.serving import SCRIPT, served
from tpo.policies.scripted import ScriptedPolicy

PROGRAM = ".venv-clients/bin/schemathesis"
CONFIGURATION = "tests/serve/schemathesis.toml"
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"
TIMEOUT = 60.0
"""Seconds after which a request counts as hanging."""


async def fuzz(seconds: int) -> int:
    """Send requests for *seconds* and return the program's exit status."""
    async with served(ScriptedPolicy(SCRIPT)) as client:
        process = await asyncio.create_subprocess_exec(
            *(
                PROGRAM,
                "--config-file",
                CONFIGURATION,
                "run",
                f"{client.url}/openapi.json",
                "--checks",
                CHECKS,
            ),
            *("--max-time", str(seconds), "--request-timeout", str(TIMEOUT)),
            *("--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color"),
        )
        return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 600)))
