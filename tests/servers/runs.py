"""Runs of the command line that are watched and killed, and what must hold of them at the end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tpo.tiny import examples_path

QUERIES = 24
SAMPLES = 3
SECONDS = 1800
"""For one run, a server's restart on a busy machine included."""
LENGTH = ("--reward", "python:lengths:length")
"""A reward that starts at once."""


@contextmanager
def client(
    folder: Path, *urls: str, reward: Sequence[str] = LENGTH, concurrency: int = 8
) -> Iterator[subprocess.Popen[str]]:
    """``tpo run`` in *folder*, as a user starts it."""
    (folder / "lengths.py").write_text("def length(messages, response):\n    return float(len(response))\n")
    command = [
        *(sys.executable, "-c", "from tpo.cli.main import main; main()"),
        *("run", str(examples_path()), "--limit", str(QUERIES), "--out", "run"),
        *(option for url in urls for option in ("--policy", url)),
        *reward,
        *("-n", str(SAMPLES), "-d", "1", "--max-tokens", "96"),
        *("--concurrency", str(concurrency), "--retry-timeout", str(SECONDS)),
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of the run's trajectories."""
    file = folder / "run" / "trajectories.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]


def unreadable(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the replies of a trajectory's updates from which no response could be read."""
    calls = [call for step in record["steps"] for call in step.get("calls", ()) if call.get("reads")]
    return [reply for call in calls for reply in call.get("replies", ())]


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until it is so, or the process has ended."""
    deadline = time.monotonic() + SECONDS
    while not what() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended_well(process: subprocess.Popen[str]) -> str:
    """What it told on stdout, having ended with code 0."""
    told, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    return told


def check_whole(folder: Path) -> None:
    """Each query finished, once, with each of its candidates once."""
    records = [record for record in lines(folder) if record["status"] == "finished"]
    assert Counter(Counter(record["query"]["id"] for record in records).values()) == {1: QUERIES}
    for record in records:
        lost = [f"1.{reply['index']}" for reply in unreadable(record)]
        ids = [candidate["id"] for candidate in record["candidates"]] + lost
        assert sorted(ids) == [f"{step}.{index}" for step in (0, 1) for index in range(SAMPLES)]
    assert (folder / "run" / "journal.jsonl").read_bytes() == b""
