"""Type checks of the Python examples of a page, each in a file of its own, as a reader would keep them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
READERS_OWN = """\
def my_model(messages: list[dict[str, str]], *, temperature: float, seed: int) -> str:
    return f"{messages[-1]['content']} {temperature} {seed}"


def my_scorer(question: str, response: str) -> float:
    return float(len(question) + len(response))


"""
"""Functions that examples leave to the reader."""
_UNKNOWN = [f"Unknown{what}" for what in ("MemberType", "VariableType", "ArgumentType")]


def write_examples(page: str, folder: Path) -> list[Path]:
    """Write each Python block of *page* to a file in *folder*."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    assert blocks
    files = []
    for number, block in enumerate(blocks):
        if re.search(r"^[^ #\n].*\bawait |^await ", block, re.MULTILINE):  # a notebook's cell
            block = "async def cell() -> None:\n" + textwrap.indent(block, "    ")
        file = folder / f"{Path(page).stem.lower()}_{number}.py"
        file.write_text((READERS_OWN if "my_" in block else "") + block, "utf-8")
        files.append(file)
    return files


def mypy_errors(files: list[Path], *options: str) -> str:
    """Return what mypy in strict mode reports of *files*; empty if nothing."""
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    quiet = ["--no-error-summary", "--follow-imports", "silent"]
    done = subprocess.run([*command, *quiet, *options, *files], cwd=ROOT, capture_output=True, text=True)
    return f"{done.stdout}{done.stderr}"


def pyright_errors(files: list[Path], environment: Path) -> str:
    """Return what pyright in strict mode reports of *files*, with the packages of *environment*."""
    settings = {
        "typeCheckingMode": "strict",
        "include": [file.name for file in files],
        "extraPaths": [str(ROOT / "src")],
        # Packages that publish incomplete types or none.
        **{f"report{what}": False for what in ("MissingTypeStubs", *_UNKNOWN)},
    }
    project = files[0].parent / "pyrightconfig.json"
    project.write_text(json.dumps(settings), "utf-8")
    python = environment / "bin" / "python"
    done = subprocess.run(
        [environment / "bin" / "pyright", "--pythonpath", python, "--project", project],
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}"
