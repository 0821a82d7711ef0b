"""``python run.py`` as a process."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = {"PYTHONPATH": str(ROOT / "src"), "PATH": os.environ["PATH"]}


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *flags], cwd=ROOT, env=SOURCES, capture_output=True, text=True, check=False
    )


def test_where_the_package_is_not_installed_one_sentence_says_so() -> None:
    done = run("-I", "-S", "run.py", "--help")
    assert done.returncode == 1
    assert done.stderr == (
        "tpo is not installed here: run `make install`, then .venv/bin/python run.py ...\n"
    )


def test_an_error_is_a_sentence_an_exit_code_and_the_time(tmp_path: Path) -> None:
    done = run("run.py", "--data_path", str(tmp_path / "none.json"), "--ip", "localhost")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}/none.json: no such file")
    assert done.stdout.startswith("ELAPSED TIME: ")
