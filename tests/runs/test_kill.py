"""What production does to a run: kill -9, Ctrl-C, a full disk, a second process."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from tests.runs.models import RECIPE, by_id, opened, policy, queries, reward
from tests.store.memory import memory_folder
from tpo.errors import StoreBusy
from tpo.runs import run_queries
from tpo.store import read_run, read_trajectories
from tpo.types import Trajectory

QUERIES = 12
IN_FLIGHT = 4
NEEDED = QUERIES * (3 * 3 + 2 * 2)
"""Completions of a whole run: N(D+1)+2D a query."""


@contextmanager
def child(path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.runs.child", str(path), str(QUERIES), *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def listen(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Its next *lines* lines, or fewer where it ends before."""
    assert process.stdout is not None
    return list(islice(process.stdout, lines))


def rest(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """What it still says, once it has ended."""
    assert process.stdout is not None
    assert process.stderr is not None
    # Not communicate(): it would pass over what the reader of single lines has read ahead.
    said, errors = list(process.stdout), process.stderr.read()
    process.wait()
    return said, errors


def finish(path: Path) -> None:
    async def whole() -> None:
        async with opened(path) as directory:
            await run_queries(queries(QUERIES), policy(), reward(), RECIPE, directory)

    asyncio.run(whole())


def kept(path: Path) -> dict[str, Trajectory]:
    return by_id(read_trajectories(path))


@pytest.fixture(scope="module")
def plain() -> Iterator[dict[str, Trajectory]]:
    """A run that was never stopped."""
    with memory_folder() as folder:
        finish(folder)
        yield kept(folder)


def test_kill_9_loses_at_most_the_calls_in_flight(tmp_path: Path, plain: dict[str, Trajectory]) -> None:
    luck = random.Random(20)
    asked: Counter[str] = Counter()
    kills = 5
    for _ in range(kills):
        with child(tmp_path) as process:
            asked.update(listen(process, luck.randint(1, NEEDED // (kills + 1))))
            process.kill()
            asked.update(rest(process)[0])
        done = kept(tmp_path)
        assert done == {query: plain[query] for query in done}
    with child(tmp_path) as process:
        said, errors = rest(process)
        asked.update(said)
        assert process.returncode == 0, errors
    assert kept(tmp_path) == plain
    assert (tmp_path / "trajectories.jsonl").read_bytes().count(b"\n") == QUERIES
    assert (tmp_path / "journal.jsonl").stat().st_size == 0
    samples = 3  # of each call in flight
    assert asked.total() <= NEEDED + kills * IN_FLIGHT * samples
    assert len(asked) == NEEDED


def test_ctrl_c_ends_cleanly_and_notes_what_is_done(tmp_path: Path, plain: dict[str, Trajectory]) -> None:
    with child(tmp_path, "--halt", str(NEEDED // 2)) as process:
        listen(process, NEEDED // 2)
        process.send_signal(signal.SIGINT)
        _, errors = rest(process)
        assert (process.returncode, errors) == (130, "")
    record = read_run(tmp_path)
    assert record.invocations[-1].interrupted
    assert record.ended is not None
    assert record.totals["finished"] == len(kept(tmp_path)) > 0
    finish(tmp_path)
    assert kept(tmp_path) == plain


def test_a_full_disk_is_one_clear_error_and_the_run_goes_on_later(
    tmp_path: Path, plain: dict[str, Trajectory]
) -> None:
    with child(tmp_path, "--max-bytes", "20000") as process:
        _, errors = rest(process)
    assert process.returncode == 1
    assert "StoreError: cannot write to" in errors.splitlines()[-1]
    assert "start the same command again" in errors
    assert "Traceback" not in errors
    done = kept(tmp_path)
    assert done == {query: plain[query] for query in done}
    finish(tmp_path)
    assert kept(tmp_path) == plain


def test_a_second_process_is_refused_and_does_no_harm(tmp_path: Path, plain: dict[str, Trajectory]) -> None:
    with child(tmp_path, "--halt", "5") as process:
        listen(process, 5)
        with pytest.raises(StoreBusy, match=f"process {process.pid} works in this run"):
            opened(tmp_path)
        process.send_signal(signal.SIGINT)
        assert rest(process)[1] == ""
    finish(tmp_path)
    assert kept(tmp_path) == plain
