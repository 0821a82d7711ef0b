"""The examples of the page on other programs, run with the real packages from an environment of their own."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.openai_server import OpenAIServer

PYTHON = Path(".venv-clients/bin/python").absolute()
PAGE = Path("docs/programs.md").read_text("utf-8")
EXAMPLES: dict[str, str] = dict(
    re.findall(r"^##+ (.+)\n(?:(?!^#).*\n)*?```python\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
)
NOTEBOOK = """
import sys
import nbformat
from nbclient import NotebookClient

cell = nbformat.v4.new_code_cell(open(sys.argv[1]).read())
notebook = NotebookClient(nbformat.v4.new_notebook(cells=[cell])).execute()
print("".join(output.get("text", "") for output in notebook.cells[0].outputs))
"""


def printed(name: str, folder: Path, **variables: str) -> str:
    """What the example *name* prints."""
    file = folder / "example.py"
    file.write_text(EXAMPLES[name])
    quiet = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "DSPY_CACHEDIR": str(folder),
    }
    program = ["-c", NOTEBOOK] if name == "Notebook" else []
    with OpenAIServer() as server:
        done = subprocess.run(
            [PYTHON, *program, file],
            env=os.environ | quiet | {"BASE_URL": server.url} | variables,
            capture_output=True,
            text=True,
            timeout=300,
            cwd=folder,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.clients
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_with_the_real_package(name: str, tmp_path: Path) -> None:
    assert printed(name, tmp_path) == "finished 4"


@pytest.mark.clients
def test_a_fork_after_first_use_runs_too(tmp_path: Path) -> None:
    assert printed("Processes", tmp_path, START="fork") == "finished 4"


def test_every_kind_of_program_has_an_example() -> None:
    assert list(EXAMPLES) == [
        *("AsyncOpenAI", "LangChain", "LiteLLM", "DSPy"),
        *("FastAPI", "Flask and threads", "uvloop", "joblib", "Processes", "Notebook"),
    ]
