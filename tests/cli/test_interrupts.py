"""Ctrl-C and SIGTERM while a reward function hangs."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.openai_server import OpenAIServer
from tpo.store import read_run

HANGS = """
import threading

calls = 0

def score(messages, response):
    global calls
    calls += 1
    if calls == 2:
        print("it hangs", flush=True)
    if calls > 1:
        threading.Event().wait()
    return 1.0
"""


IN_BACKGROUND = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
"""A shell without job control starts background jobs so."""


@pytest.mark.parametrize(
    ("number", "before"), [(signal.SIGINT, ""), (signal.SIGTERM, ""), (signal.SIGTERM, IN_BACKGROUND)]
)
def test_a_run_with_a_reward_that_hangs_ends_at_once_without_a_traceback(
    number: signal.Signals, before: str, tmp_path: Path
) -> None:
    (tmp_path / "hangs.py").write_text(HANGS)
    (tmp_path / "data.json").write_text('["one", "two"]')
    program = before + "from tpo.cli.main import main; main()"
    with OpenAIServer() as server:
        options = ["--policy", server.url, "--reward", "python:hangs:score", "--out", "out"]
        with subprocess.Popen(
            [sys.executable, "-c", program, "run", "data.json", *options],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as started:
            try:
                assert started.stdout is not None
                assert started.stdout.readline() == "it hangs\n"
                started.send_signal(number)
                _, said = started.communicate(timeout=120)
            finally:
                started.kill()
    assert started.returncode == 130
    assert "Traceback" not in said
    assert "interrupted; the same command resumes out" in said
    assert read_run(tmp_path / "out").invocations[-1].interrupted
