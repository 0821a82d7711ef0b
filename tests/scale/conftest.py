from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scale.cluster_run import two_nodes
from tests.scale.paced_server import PacedServer
from tests.store.memory import memory_folder


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory where that can be had: these tests sync after every line."""
    with memory_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Ray cluster of two nodes."""
    with two_nodes() as running:
        yield running


@pytest.fixture
def server() -> Iterator[PacedServer]:
    """A model server that counts samples."""
    with PacedServer() as running:
        yield running
