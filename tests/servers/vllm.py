"""A real vLLM server as a process of its own."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

PYTHON = Path(__file__).parents[2] / ".venv-servers" / "bin" / "python"
READY_SECONDS = 1200
QUIET = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
# Chunked prefill off: a seeded request that is prefilled in pieces ends the CPU engine. Blocks of 32: prompts
# shorter than the default block would never meet the prefix cache.
FIT_FOR_CPU = [
    "--dtype=float32",
    "--max-model-len=2048",
    "--max-num-batched-tokens=8192",
    "--no-enable-chunked-prefill",
    "--block-size=32",
]
EAGER = ("--enforce-eager",)
"""Uncompiled, since compiling takes longer than the tests."""
POOLING = ("--runner=pooling", *EAGER)
"""What serves a one-label classifier."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on.

    It is below those of outgoing connections, of which one might take it before vLLM is ready to listen.
    """
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port was found")


@dataclass
class Vllm:
    """Serve *model* under *name* while the context lasts; the log goes to *log*."""

    model: Path
    name: str
    log: Path
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """The base URL, as ``--policy`` takes it."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def root(self) -> str:
        """The URL without ``/v1``."""
        return self.url.removesuffix("/v1")

    def __enter__(self) -> Self:
        command = [
            *(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(self.model), "--served-model-name", self.name),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *FIT_FOR_CPU,
            *self.arguments,
        ]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | QUIET, start_new_session=True
            )
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def kill(self) -> None:
        """As ``kill -9``, its engine's process with it; entering again starts it on the same port."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = self.log.read_text("utf-8", "replace")[-4000:]
                raise RuntimeError(f"vLLM did not come up:\n{tail}")
            time.sleep(0.5)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def tpo(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [str(Path(sys.executable).with_name("tpo")), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=1800, check=False)
