from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.memory import memory_folder


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory where that can be had: these tests sync after every line."""
    with memory_folder() as folder:
        yield folder
