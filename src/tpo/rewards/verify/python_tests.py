"""Tests of a row, run on the code in a response in a subprocess with limits.

The limits hold back accidents and endless loops: time, memory, file size, and the network where the system
has user namespaces. They are no wall against an attack: run what you do not trust in a container.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tpo.per_loop import PerLoop
from tpo.rewards.verify.fences import fenced_blocks
from tpo.rewards.verify.reward import texts_of
from tpo.types import Query

log = logging.getLogger(__name__)

_HARNESS = Path(__file__).with_name("python_harness.py")
_ISOLATE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child")
"""No network, and processes that end with their first one."""
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}
"""Keeps numpy from starting a thread for each core, whose stacks do not fit into the memory limit."""
LANGUAGES = ("python", "python3", "py")
MOST_OUTPUT = 1_000_000


@dataclass(frozen=True)
class PythonTests:
    """Each test of the row's *column* runs without an exception after the response's code.

    The column holds one program, a list of statements such as MBPP's ``test_list``, or HumanEval's ``test``,
    which the row's ``entry_point`` is passed to. The code is the last fenced block of the response that
    defines the ``entry_point``; else, of the blocks that name Python, or where there are none, of those that
    name no language, the last that defines a function or class, or the last of all; else all of the response.
    """

    column: str = "tests"
    seconds: float = 10.0
    memory_mb: int = 1024
    start_seconds: float = 10.0
    """Seconds that the interpreter may take to start, on a loaded machine."""
    _running: PerLoop[asyncio.Semaphore] = field(
        default_factory=lambda: PerLoop(lambda: asyncio.Semaphore(max(1, os.cpu_count() or 1))),
        compare=False,
        repr=False,
    )

    async def __call__(self, response: str, query: Query) -> dict[str, bool]:
        """Return which tests pass; none does where the code fails or takes too long."""
        tests = _tests(query, self.column)
        blocks = [(bool(language), code) for language, code in fenced_blocks(response, LANGUAGES)]
        job = {
            "key": secrets.token_hex(16),
            "blocks": blocks or [(False, response)],
            "entry_point": name if isinstance(name := query.metadata.get("entry_point"), str) else None,
            "tests": tests,
            "seconds": self.seconds,
            "memory": self.memory_mb * 1024 * 1024,
        }
        async with self._running.get():
            passed = await _run(job, self.seconds + self.start_seconds)
        return {f"test {number}": each for number, each in enumerate(passed, 1)}


def _tests(query: Query, column: str) -> list[str]:
    found = texts_of(query, column, any_list=True)
    name = query.metadata.get("entry_point")
    if not isinstance(name, str):
        return found
    if not name.isidentifier():
        raise ValueError(f"entry_point {name!r} is no name of a function")
    return [f"{each}\n\ncheck({name})\n" for each in found]


async def _run(job: Mapping[str, Any], seconds: float) -> list[bool]:
    """Return the verdicts; all False where none came in time."""
    failed = [False] * len(job["tests"])
    with tempfile.TemporaryDirectory(prefix="tpo-verify-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            *_isolation(),
            *(sys.executable, "-I", str(_HARNESS)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env={"PATH": os.defpath, "HOME": folder, "TMPDIR": folder} | _ONE_THREAD,  # no key of ours
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(seconds):
                return _verdicts(await _talk(process, json.dumps(job).encode()), job)
        except TimeoutError:
            return failed
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _talk(process: asyncio.subprocess.Process, job: bytes) -> bytes:
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:  # both are pipes
        return b""
    with contextlib.suppress(ConnectionError):
        stdin.write(job)
        await stdin.drain()
        stdin.close()
    said = b""
    while len(said) < MOST_OUTPUT and (more := await stdout.read(65536)):
        said += more
    return said


def _verdicts(said: bytes, job: Mapping[str, Any]) -> list[bool]:
    try:
        reply = json.loads(said)
        passed = [each is True for each in reply["passed"]]
        is_own = reply["key"] == job["key"]
    except (ValueError, KeyError, TypeError):
        return [False] * len(job["tests"])
    return passed if is_own and len(passed) == len(job["tests"]) else [False] * len(job["tests"])


@cache
def _isolation() -> tuple[str, ...]:
    """Return the command that takes the network away, if the system lets this user do so."""
    path = shutil.which(_ISOLATE[0])
    if path is not None:
        command = (path, *_ISOLATE[1:])
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run([*command, "true"], capture_output=True, timeout=30, check=False)  # noqa: S603 - fixed words
            if done.returncode == 0:
                return command
    log.warning("verify:python: no user namespaces here, so the code of responses can reach the network")
    return ()
