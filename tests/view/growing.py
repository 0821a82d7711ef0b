"""A run that grows under a test's hand, and a server over it in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from tpo.report.partial_run import read_partial_run
from tpo.store.jsonline import seal
from tpo.store.trajectory_line import encode_trajectory
from tpo.view.catalog import Catalog
from tpo.view.server import Server


class Growing:
    """The whole run in the directory *made*, appended to the directory *path* a query at a time."""

    def __init__(self, made: Path, path: Path) -> None:
        self.path = path
        self.lines = [encode_trajectory(each) for each in read_partial_run(made).trajectories()]
        self.record = json.loads((made / "run.json").read_text())
        del self.record["checksum"]  # it is changed here
        self.written = 0

    def begin(self, total: int | None = None) -> Self:
        """Make the directory of a run that this process works in."""
        self.path.mkdir(parents=True, exist_ok=True)
        body = json.loads(json.dumps(self.record))
        body["invocations"][-1]["ended"] = None
        body["configuration"] |= {} if total is None else {"queries": total}
        self._put("run.json", json.dumps(body))
        self._put(".lock", f"{os.getpid()}\n")
        return self

    def grow(self, count: int) -> None:
        """Append the next *count* queries."""
        self.append(*self.lines[self.written : self.written + count])
        self.written += count

    def append(self, *lines: bytes) -> None:
        with (self.path / "trajectories.jsonl").open("ab") as file:
            file.writelines(lines)

    def call(self, query: str, tokens: int = 5) -> None:
        """Note a finished call of *query* in the journal."""
        record = {"query": query, "completion": {"usage": {"completion_tokens": tokens}}}
        with (self.path / "journal.jsonl").open("ab") as file:
            file.write(seal(record))

    def end(self) -> None:
        """Note the run's end."""
        self._put("run.json", json.dumps(self.record))

    def throw_away(self) -> None:
        """As ``--fresh`` does, before it begins anew."""
        for name in ("journal.jsonl", "trajectories.jsonl", "run.json"):
            (self.path / name).unlink(missing_ok=True)
        self.written = 0

    def _put(self, name: str, text: str) -> None:
        fresh = self.path / f"{name}.new"
        fresh.write_text(text)
        fresh.replace(self.path / name)


class Serving:
    """A server over the runs in *root* while its block lasts; *port* 0 takes a free one."""

    def __init__(self, root: Path, port: int = 0) -> None:
        self.root = root
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="view")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._loop.is_closed():
            self.stop()

    def stop(self) -> None:
        """The server is gone."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        self._runner = web.AppRunner(Server(Catalog(self.root)).app(), shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
