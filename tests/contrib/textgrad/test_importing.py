"""Importing textgrad through here leaves nothing behind, unless a log is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tpo.contrib.textgrad.importing import QUIET
from tpo.methods.textgrad.installed import TESTED

PROGRAM = """
import os
from tpo import ConfigError
from tpo.contrib.textgrad import import_textgrad
try:
    tg = import_textgrad()
    assert import_textgrad() is tg
    tg.logger.warning("a prompt")
    handlers = [type(handler).__name__ for handler in tg.logger.handlers]
    print(os.environ.get("A_KEY"), os.environ.get("TEXTGRAD_LOG_DIR"), handlers)
except ConfigError as error:
    print(error)
"""

STAND_IN = """
import logging, os
folder = os.getenv("TEXTGRAD_LOG_DIR", "./logs/")
os.makedirs(folder, exist_ok=True)
logger = logging.getLogger("textgrad")
logger.addHandler(logging.FileHandler(os.path.join(folder, "log.jsonl")))
"""
"""What textgrad does to the file system when it is imported, without the seconds that the rest takes."""


def imported_in(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / ".env").write_text("A_KEY=from a file\n")
    plain = {k: v for k, v in os.environ.items() if k not in QUIET and "KEY" not in k}
    settings = plain | {"HOME": str(folder / "home"), "TMPDIR": str(folder)} | environment
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=settings)


def stand_in(folder: Path, source: str) -> str:
    (folder / "textgrad").mkdir(parents=True)
    (folder / "textgrad" / "__init__.py").write_text(source)
    return str(folder)


def test_the_real_package_leaves_no_file_asks_no_network_and_reads_no_keys(tmp_path: Path) -> None:
    done = imported_in(tmp_path)
    assert done.stdout == "None None []\n"
    assert done.stderr == "a prompt\n"  # as any warning of a program that sets up no logging
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_a_log_that_is_asked_for_is_kept(tmp_path: Path) -> None:
    package, log = stand_in(tmp_path / "lib", STAND_IN), tmp_path / "log"
    done = imported_in(tmp_path, TEXTGRAD_LOG_DIR=str(log), PYTHONPATH=package)
    assert done.stdout == f"None {log} ['FileHandler']\n"
    assert (log / "log.jsonl").read_text() == "a prompt\n"


def test_a_log_that_nobody_asked_for_is_not_begun(tmp_path: Path) -> None:
    done = imported_in(tmp_path, PYTHONPATH=stand_in(tmp_path / "lib", STAND_IN))
    assert done.stdout == "None None []\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "lib"]


def test_a_package_that_fails_as_it_is_imported_is_told_with_the_version_that_was_tested(
    tmp_path: Path,
) -> None:
    done = imported_in(tmp_path, PYTHONPATH=stand_in(tmp_path / "lib", "from json import Moved"))
    assert "it cannot be imported (ImportError: cannot import name 'Moved'" in done.stdout
    assert f"tested with textgrad {TESTED}" in done.stdout


def test_without_the_package_the_extra_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['textgrad'] = None\n"
        "from tpo.contrib.textgrad import PolicyEngine\n"
        "from tpo import MissingExtra, ScriptedPolicy\n"
        "try: PolicyEngine(ScriptedPolicy(), name='x')\n"
        "except MissingExtra as error: print(error)"
    )
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert said.stdout == "an engine for TextGrad needs textgrad: pip install 'tpo[textgrad]'\n"
