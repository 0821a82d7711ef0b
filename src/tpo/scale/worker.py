"""Worker: models that are loaded once and one event loop, for any number of blocks of queries."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from tpo.errors import StoreBusy, TpoError
from tpo.runs.inputs import QueryInput
from tpo.runs.models import Models, Relay
from tpo.runs.plan import RunPlan
from tpo.runs.retries import Retries
from tpo.runs.summary import Summary
from tpo.scale.blocks import read_block
from tpo.types import Query

T = TypeVar("T")

BUSY_WAITS = (1, 2, 4, 8, 15, 30, 60)
"""Seconds between tries to open a directory that another process holds: one that is about to be stopped."""


class Worker:
    """Runs blocks of queries with the models and the settings of *plan*; call it from any thread.

    At most *overlap* calls may be in progress; each has its part of the plan's concurrency.

    Raises:
        TpoError: a model cannot be loaded, or does not answer.
    """

    def __init__(self, plan: RunPlan, *, overlap: int = 1) -> None:
        settings = plan.settings
        sequences = None if settings.sequences is None else max(settings.sequences // overlap, 1)
        concurrency = max(settings.concurrency // overlap, 1)
        self._plan = replace(
            plan.pinned(), settings=replace(settings, concurrency=concurrency, sequences=sequences)
        )
        self._retries = Retries()
        self._models = plan.load_models(complete=False)
        self._models.events.listeners.append(self._retries)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tpo-worker", daemon=True)
        self._thread.start()
        self._opened = AsyncExitStack()
        try:
            self._call(self._opened.enter_async_context(self._models.ready()))
        except BaseException:
            self.close()
            raise

    @property
    def needs_scales(self) -> bool:
        """True if each block would measure scales of its own, by which rewards are combined."""
        return bool(getattr(self._models.reward, "needs_measuring", False))

    def run(self, queries: Sequence[Query], path: Path) -> Summary:
        """Run those of *queries* that the run directory *path* does not hold as finished.

        Raises:
            TpoError: a fatal one; what is finished is kept.
        """
        return self._call(self._run(queries, path))

    def take_retries(self) -> Counter[str]:
        """Return how many calls were retried since the last time, by phase."""
        taken, self._retries.by_phase = self._retries.by_phase, Counter()
        return taken

    def close(self) -> None:
        """Close the models and stop the loop."""
        self._call(self._opened.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _run(self, queries: Sequence[Query], path: Path) -> Summary:
        data = QueryInput(self._plan.data.source, queries, self._plan.data.digest, len(queries))
        plan = replace(self._plan, data=data, path=path)
        # Events of one block must not reach the other: each has a relay of its own.
        policy, reward, check = self._models.policy, self._models.reward, self._models.check
        models = Models(policy, reward, Relay(), borrowed=(policy, reward, check), check=check)
        for wait in BUSY_WAITS:
            try:
                return await plan.execute(models)
            except StoreBusy:
                await asyncio.sleep(wait)
        return await plan.execute(models)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class BlockRunner:
    """Callable class for ``map_batches``: runs the blocks that a batch names.

    A fatal error becomes a row, since exceptions of Ray's workers cannot be told apart by the driver.
    """

    def __init__(self, plan: RunPlan, folder: Path, directory: str, overlap: int) -> None:
        if Path(directory).is_dir():  # relative names in settings are those of the driver
            os.chdir(directory)
        self._folder = folder
        self._error: TpoError | None = None
        try:
            self._worker = Worker(plan, overlap=overlap)
        except TpoError as error:
            self._error = error

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return a row for each block: its name, retried calls by phase, and the error that ended it."""
        rows = [self._run(str(name)) for name in batch["block"]]
        return {key: [row[key] for row in rows] for key in rows[0]}

    def _run(self, name: str) -> dict[str, str]:
        error, retries = self._error, "{}"
        if error is None:
            try:
                path = self._folder / name
                self._worker.run(read_block(path), path)
            except TpoError as raised:
                error = raised
            retries = json.dumps(self._worker.take_retries())
        kind = "" if error is None else type(error).__name__
        return {"block": name, "retries": retries, "kind": kind, "error": "" if error is None else str(error)}
