"""The public face: what it holds, where it comes from, and that looking at it costs nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import tpo
from tests import public_types

HEAVY = {"torch", "transformers", "aiohttp", "datasets", "pyarrow", "pydantic", "typer"}


def test_every_exported_name_is_there() -> None:
    for name in tpo.__all__:
        assert getattr(tpo, name) is not None, name


def test_the_names_are_listed_once_and_each_has_a_home() -> None:
    assert len(set(tpo.__all__)) == len(tpo.__all__)
    assert set(tpo.__all__) == set(tpo._HOME_OF)
    assert set(tpo.__all__) <= set(dir(tpo))


def test_the_version_is_that_of_the_installed_package() -> None:
    assert tpo.__version__ == version("tpo")
    assert "__version__" in dir(tpo)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Optimiser'"):
        _ = tpo.Optimiser  # type: ignore[attr-defined]  # that it does not exist is the point


def test_every_public_name_has_a_use_whose_types_are_checked() -> None:
    uses = Path(public_types.__file__).read_text("utf-8")
    missing = [name for name in tpo.__all__ if f"tpo.{name}" not in uses]
    assert not missing, f"add uses to {public_types.__name__}"


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, tpo; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())


def test_errors_are_one_tree() -> None:
    errors = [getattr(tpo, name) for name in tpo.__all__ if isinstance(getattr(tpo, name), type)]
    assert all(issubclass(e, tpo.TpoError) for e in errors if issubclass(e, Exception))
