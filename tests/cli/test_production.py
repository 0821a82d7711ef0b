"""What production does to ``tpo run`` as a process: kill -9 at any moment, a full disk, a second process."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.doctor.server import ModelServer
from tests.runs.models import by_id
from tests.store.memory import memory_folder
from tpo.store import read_run, read_trajectories
from tpo.store.jsonline import unseal

QUERIES = 12
NEEDED = QUERIES * 4
"""Requests of a whole run: samples, loss, gradient and update of each query."""
KILLS = 10
AT_ONCE = 4
TPO = (sys.executable, "-c", "from tpo.cli.main import main; main()")


class Watched(ModelServer):
    """Tells *arrived* the number of each request that is no check; keeps those after *hold* waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: Callable[[int], None] = lambda number: None
        self.restart()

    def restart(self, hold: int = sys.maxsize) -> None:
        """Count from the beginning."""
        self.count, self.hold = 0, hold

    async def _complete(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        if body["max_tokens"] > 16:
            self.count += 1
            self.arrived(self.count)
            if self.count > self.hold:
                await asyncio.Event().wait()
        return await super()._complete(request)


@pytest.fixture
def server() -> Iterator[Watched]:
    with Watched() as running:
        yield running


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as path:
        (path / "prompts.jsonl").write_text(
            "".join(json.dumps({"prompt": f"question {number}"}) + "\n" for number in range(QUERIES))
        )
        yield path


def command(folder: Path, server: Watched, out: str = "out") -> list[str]:
    models = ["--policy", server.url, "--model", "good", "--reward", "python:tests.cli.values:length_of"]
    shape = ["-n", "2", "-d", "1", "--concurrency", str(AT_ONCE), "--out", str(folder / out)]
    return [*TPO, "run", str(folder / "prompts.jsonl"), *models, *shape]


@contextmanager
def started(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TPO_")}
    environment["PYTHONPATH"] = os.pathsep.join(["src", "."])
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def carried_out(arguments: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    with started(arguments) as process:
        said, errors = process.communicate(timeout=300)
        return process.returncode, said, errors


def killed_at(request: int, arguments: list[str], server: Watched) -> None:
    """Start the command, and kill -9 it as soon as *request* comes in; later ones are not answered."""
    come = threading.Event()
    server.restart(hold=request)
    server.arrived = lambda number: come.set() if number >= request else None
    with started(arguments) as process:
        assert come.wait(timeout=300), process.communicate()[1]
        process.kill()
        process.wait()
    server.arrived = lambda number: None


def require_intact(journal: Path) -> None:
    """Every line but a torn last one is whole."""
    for line in journal.read_bytes().split(b"\n")[:-1]:
        unseal(line + b"\n")


def test_kill_9_at_ten_random_moments_loses_and_doubles_nothing(folder: Path, server: Watched) -> None:
    assert carried_out(command(folder, server, "plain"))[0] == 0
    plain = by_id(read_trajectories(folder / "plain"))
    luck = random.Random(3)
    out = folder / "out"
    sent = 0
    for _ in range(KILLS):
        killed_at(luck.randint(1, NEEDED // KILLS), command(folder, server), server)
        sent += server.count
        require_intact(out / "journal.jsonl")
        done = by_id(read_trajectories(out))
        assert done == {query: plain[query] for query in done}
    server.restart()
    code, said, errors = carried_out(command(folder, server))
    sent += server.count
    assert code == 0, errors
    assert f"{QUERIES} queries finished" in said
    assert "resuming" in errors
    assert by_id(read_trajectories(out)) == plain
    assert (out / "journal.jsonl").stat().st_size == 0
    assert NEEDED <= sent <= NEEDED + KILLS * AT_ONCE


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(folder: Path, server: Watched) -> None:
    limited = ["bash", "-c", 'ulimit -f 16 && exec "$@"', "bash", *command(folder, server)]
    code, _, errors = carried_out(limited)
    assert code == 2
    last = errors.splitlines()[-1]
    assert last.startswith("error: cannot write to ")
    assert "start the same command again" in last
    assert "Traceback" not in errors
    assert carried_out(command(folder, server))[0] == 0
    assert len(by_id(read_trajectories(folder / "out"))) == QUERIES


def test_a_second_process_is_refused_and_the_first_goes_on(folder: Path, server: Watched) -> None:
    come = threading.Event()
    server.restart(hold=3)
    server.arrived = lambda number: come.set() if number > 3 else None
    with started(command(folder, server)) as first:
        assert come.wait(timeout=300)
        code, said, errors = carried_out(command(folder, server))
        assert (code, said) == (2, "")
        assert f"process {first.pid} works in this run" in errors.splitlines()[-1]
        assert first.poll() is None
    assert read_run(folder / "out").ended is None
    server.restart()
    assert carried_out(command(folder, server))[0] == 0
