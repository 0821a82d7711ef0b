"""The connection to Ray: what the user reads when it fails."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from tpo.errors import ConfigError, TpoError
from tpo.scale.cluster import connected


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
