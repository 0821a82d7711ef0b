"""The connection to Ray: what the user reads when it fails."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tpo.errors import ConfigError, TpoError
from tpo.scale.cluster import Pool, RowStream, connected


class FailingRay(ModuleType):
    """Stand-in for Ray whose start ends with *error*."""

    def __init__(self, error: Exception) -> None:
        super().__init__("ray")
        self.error = error
        self.data = ModuleType("ray.data")

    def is_initialized(self) -> bool:
        """Return False: there is no connection yet."""
        return False

    def init(self, **options: Any) -> None:
        """Fail."""
        del options
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ConnectionError("no answer"), ConfigError, "--ray head:1: no Ray cluster can be reached: no answer"),
        (Exception("timed out"), TpoError, "--ray head:1: Ray did not start: timed out"),
    ],
)
def test_a_failed_start_of_ray_is_an_error_of_this_package(
    error: Exception, kind: type[TpoError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FailingRay(error)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", ray.data)
    with pytest.raises(kind, match=message), connected("head:1"):
        pass  # not reached


class IdleRay(ModuleType):
    """Stand-in for Ray on *nodes*, given as (CPUs, GPUs, alive), whose data sets have no rows."""

    def __init__(self, *nodes: tuple[float, float, bool]) -> None:
        super().__init__("ray")
        self._nodes = [
            {"Alive": alive, "Resources": {"CPU": cpus, "memory": 1e9} | ({"GPU": gpus} if gpus else {})}
            for cpus, gpus, alive in nodes
        ]
        self.data = ModuleType("ray.data")
        rows = SimpleNamespace(iter_rows=lambda: iter(()))
        items = SimpleNamespace(map_batches=lambda *_, **__: rows)
        vars(self.data).update(
            DataContext=SimpleNamespace(get_current=SimpleNamespace),
            ActorPoolStrategy=SimpleNamespace,
            from_items=lambda *_, **__: items,
        )

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes as Ray describes them."""
        return self._nodes


@pytest.mark.parametrize(
    ("nodes", "largest"),
    [
        ([(4.0, 1.0, True)], None),
        ([(1.0, 0.0, True), (2.0, 1.0, True)], None),
        ([(4.0, 0.0, True)], "the largest has 4 CPUs and 0 GPUs"),
        ([(8.0, 0.0, True), (1.0, 4.0, True)], "the largest has 1 CPUs and 4 GPUs"),
        ([(2.0, 0.0, True), (8.0, 8.0, False)], "the largest has 2 CPUs and 0 GPUs"),
    ],
)
def test_a_worker_that_fits_no_node_is_told_of(
    nodes: list[tuple[float, float, bool]],
    largest: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ray = IdleRay(*nodes)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", ray.data)
    RowStream([{"block": "b"}], object, {}, Pool(cpus=2.0, gpus=1.0))
    if largest is None:
        assert not caplog.text
    else:
        assert "a worker asks for 2 CPUs and 1 GPUs" in caplog.text
        assert largest in caplog.text
