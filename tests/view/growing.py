"""A run that grows under a test's hand, and a server over it in a thread of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import ClassVar, Self

from aiohttp import web

from tests.serving import LoopbackServer
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


class Serving(LoopbackServer):
    """A server over the runs in *folder* while its block lasts; *port* 0 takes a free one."""

    path: ClassVar[str] = ""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.wanted_port = port

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"{self.root}/"

    def application(self) -> web.Application:
        """The live view."""
        return Server(Catalog(self.folder)).app()
