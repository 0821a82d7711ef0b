#!/usr/bin/env bash
# The tests with real client packages, which are in .venv-clients; the project itself is in .venv.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ ! -e .venv-clients/.installed ] || [ tests/serve/clients.sh -nt .venv-clients/.installed ]; then
    "${PYTHON:-python3}" -m venv .venv-clients
    .venv-clients/bin/python -m pip install --quiet --disable-pip-version-check \
        openai anthropic langchain-openai litellm schemathesis dspy fastapi flask httpx uvloop joblib \
        ipykernel nbclient pyright --editable .
    touch .venv-clients/.installed
fi
exec .venv/bin/python -m pytest -m clients tests/serve "$@"
