"""The examples of the page on other programs, run with the real packages from an environment of their own."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs_types import mypy_errors, pyright_errors, write_examples
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
notebook = NotebookClient(nbformat.v4.new_notebook(cells=[cell]), startup_timeout=600).execute()
print("".join(output.get("text", "") for output in notebook.cells[0].outputs))
"""


def printed(name: str, folder: Path, more: str = "", **variables: str) -> str:
    """What the example *name* prints, followed by *more*."""
    done = run(name, EXAMPLES[name] + more, folder, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def run(name: str, source: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run *source*, the example *name* or a variant, beside a server."""
    file = folder / "example.py"
    file.write_text(source)
    quiet = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "DSPY_CACHEDIR": str(folder),
    }
    program = ["-c", NOTEBOOK] if name == "Notebook" else []
    with OpenAIServer() as server:
        return subprocess.run(
            [PYTHON, *program, file],
            env=os.environ | quiet | {"BASE_URL": server.url} | variables,
            capture_output=True,
            text=True,
            timeout=900,
            cwd=folder,
        )


@pytest.mark.clients
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_with_the_real_package(name: str, tmp_path: Path) -> None:
    assert printed(name, tmp_path) == "finished 4"


@pytest.mark.clients
def test_a_fork_after_first_use_runs_too(tmp_path: Path) -> None:
    assert printed("Processes", tmp_path, START="fork") == "finished 4"


AWAIT = """
import asyncio
for number in range(3):
    print(asyncio.run(optimizer.optimize(f"question {number}")).error or "awaited")
    print(optimizer.run(f"another {number}").error or "ran")
"""


@pytest.mark.clients
@pytest.mark.parametrize("name", ["AsyncOpenAI", "LangChain", "LiteLLM", "DSPy"])
def test_a_client_serves_run_and_then_await_too(name: str, tmp_path: Path) -> None:
    assert printed(name, tmp_path, AWAIT).split("\n")[1:] == ["awaited", "ran"] * 3


@pytest.mark.clients
def test_a_client_that_was_awaited_first_says_why_run_fails(tmp_path: Path) -> None:
    awaited = 'import asyncio; asyncio.run(optimizer.optimize("first"))\ntrajectory ='
    source = EXAMPLES["AsyncOpenAI"].replace("trajectory =", awaited)
    errors = run("AsyncOpenAI", source, tmp_path).stderr
    assert re.search(r"PolicyError: .*client was first used in another event loop", errors)


@pytest.mark.clients
def test_the_examples_pass_mypy(tmp_path: Path) -> None:
    files = write_examples("docs/programs.md", tmp_path)
    # Of the packages, some publish no types.
    options = "--python-executable", str(PYTHON), "--disable-error-code", "import-untyped"
    assert mypy_errors(files, *options) == ""


@pytest.mark.clients
@pytest.mark.parametrize("page", ["README.md", "docs/library.md", "docs/programs.md"])
def test_the_examples_pass_pyright(page: str, tmp_path: Path) -> None:
    assert pyright_errors(write_examples(page, tmp_path), PYTHON.parents[1]) == ""


def test_every_kind_of_program_has_an_example() -> None:
    assert list(EXAMPLES) == [
        *("AsyncOpenAI", "LangChain", "LiteLLM", "DSPy"),
        *("FastAPI", "Flask and threads", "uvloop", "joblib", "Processes", "Notebook"),
    ]
