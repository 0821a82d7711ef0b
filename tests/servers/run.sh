#!/usr/bin/env bash
# The tests against real servers: vLLM's CPU build in .venv-servers, the project itself in .venv.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ ! -e .venv-servers/.installed ] || [ tests/servers/install.py -nt .venv-servers/.installed ]; then
    "${PYTHON:-python3}" -m venv .venv-servers
    .venv-servers/bin/python tests/servers/install.py
    touch .venv-servers/.installed
fi
exec .venv/bin/python -m pytest -m servers tests/servers "$@"
