"""Ray: the only module that imports it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from tpo.config import Settings
from tpo.errors import ConfigError, MissingExtra, TpoError

log = logging.getLogger(__name__)

AUTO = "auto"
"""The running cluster (``RAY_ADDRESS``, or one of this machine), else a new one on this machine."""

VARIABLES = {
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # the terminal shows the progress of the run
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # else a thread that still reads would connect again after the end
}
"""Environment variables of Ray, unless the user has set them."""

OVERLAP = 2
"""Blocks that a worker runs at a time, so that the slowest queries of one do not leave it idle."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Number of workers, and what Ray reserves for each.

    Raises:
        ConfigError: there are no workers.
    """

    min_size: int = 1
    max_size: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    overlap: int = OVERLAP

    def __post_init__(self) -> None:
        if not 1 <= self.min_size <= self.max_size:
            raise ConfigError("--workers must be a number from 1, or MIN:MAX such as 2:8")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the pool that *settings* describe.

        Raises:
            ConfigError: ``workers`` is no number and no range.
        """
        smallest, _, largest = settings.workers.partition(":")
        numbers = [text.strip() for text in (smallest, largest or smallest)]
        if not all(text.isascii() and text.isdigit() for text in numbers):
            raise ConfigError(
                f"--workers is {settings.workers!r}; it must be a number, or MIN:MAX such as 2:8"
            )
        overlap = min(OVERLAP, settings.concurrency)
        return cls(
            int(numbers[0]), int(numbers[1]), settings.worker_cpus, settings.worker_gpus, overlap=overlap
        )


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to the Ray cluster at *address* while the block lasts; :data:`AUTO` finds or starts one.

    Raises:
        MissingExtra: Ray is not installed.
        ConfigError: there is no cluster at *address*.
        TpoError: Ray could not start on this machine.
    """
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    ray, _ = _import()
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    if ours:
        where = {} if address == AUTO else {"address": address}
        try:
            ray.init(**where, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise ConfigError(f"--ray {address}: no Ray cluster can be reached: {error}") from error
        except Exception as error:  # Ray has no type of its own for a node that does not start in time
            raise TpoError(
                f"--ray {address}: Ray did not start: {error}; try again on a free machine"
            ) from error
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


class RowStream:
    """Iterator over the rows that *worker* makes of *items*, on Ray Data, in the order in which they end.

    *worker* is a callable class for ``map_batches``; *arguments* are those of its constructor. Each item is a
    row of its own block, so that no item waits for others.
    """

    def __init__(
        self, items: Sequence[Mapping[str, Any]], worker: type, arguments: Mapping[str, Any], pool: Pool
    ) -> None:
        self._stopped = False
        ray, data = _import()
        _warn_if_no_node_fits(ray.nodes(), pool)
        data.DataContext.get_current().enable_progress_bars = False
        strategy = data.ActorPoolStrategy(
            min_size=pool.min_size,
            max_size=pool.max_size,
            max_concurrent_calls_per_actor=pool.overlap,
            enable_true_multi_threading=True,
        )
        self._rows = (
            data.from_items(list(items), override_num_blocks=len(items))
            .map_batches(
                worker,
                fn_constructor_kwargs=dict(arguments),
                batch_size=1,
                compute=strategy,
                num_cpus=pool.cpus,
                num_gpus=pool.gpus,
            )
            .iter_rows()
        )

    def start(self, receive: Callable[[Mapping[str, Any] | BaseException | None], None]) -> None:
        """Pass each row to *receive*, from a thread of its own; at the end None, or what went wrong."""

        def work() -> None:
            try:
                for row in self._rows:
                    if self._stopped:
                        return
                    receive(row)
                receive(None)
            except BaseException as error:  # noqa: BLE001 - the receiver raises it
                receive(error)

        threading.Thread(target=work, name="tpo-ray", daemon=True).start()

    def stop(self) -> None:
        """Pass no further rows."""
        self._stopped = True


def _warn_if_no_node_fits(nodes: Sequence[Mapping[str, Any]], pool: Pool) -> None:
    """Log a warning if none of *nodes* has the resources of one worker, for which Ray waits without a word.

    It is no error: a cluster that grows may still add such a node.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    found = [(each.get("GPU", 0.0), each.get("CPU", 0.0)) for each in alive]
    if any(gpus >= pool.gpus and cpus >= pool.cpus for gpus, cpus in found):
        return
    gpus, cpus = max(found, key=lambda node: (min(node[0], pool.gpus), node[1]), default=(0.0, 0.0))
    log.warning(
        "a worker asks for %g CPUs and %g GPUs (--worker-cpus, --worker-gpus), and no node of the Ray cluster"
        " has so many: the largest has %g CPUs and %g GPUs; the run waits until such a node joins",
        *(pool.cpus, pool.gpus, cpus, gpus),
    )


def translated(error: BaseException) -> BaseException:
    """Return what *error* of Ray means for the user."""
    if isinstance(error, TpoError):
        return error
    return TpoError(f"Ray could not run the workers: {type(error).__name__}: {str(error)[:2000]}")


def _import() -> tuple[Any, Any]:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("ray", "ray", "tpo run --ray") from error
    return ray, ray.data
