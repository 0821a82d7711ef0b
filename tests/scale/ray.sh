#!/usr/bin/env bash
# The tests on a Ray cluster of two nodes on this machine, with Ray in .venv-ray.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ ! -e .venv-ray/.installed ] || [ pyproject.toml -nt .venv-ray/.installed ]; then
    "${PYTHON:-python3}" -m venv .venv-ray
    pip() { .venv-ray/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$@"; }
    pip --editable '.[ray,s3,serve,report,local]' 'ray[serve]' 'pytest>=8.3' 'pytest-asyncio>=0.25' 'hypothesis>=6.115' psutil
    # s3fs holds botocore at few versions. boto3 has the same numbers; without one, pip tries them in turn.
    pip 'moto[server]>=5' "boto3==$(.venv-ray/bin/python -c 'import botocore; print(botocore.__version__)')"
    touch .venv-ray/.installed
fi
exec .venv-ray/bin/python -m pytest -m ray tests/scale "$@"
