"""TextGrad's own texts, read from three files of the installed package.

They hold constants and a function and import nothing. The package itself is not imported: that would load
an HTTP client for every provider, ask the network for a price list, and begin a log in the working directory.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from tpo.errors import ConfigError, MissingExtra

TESTED = "0.1.8"
"""The version of textgrad that this was tested with."""

PURPOSE = "--method textgrad"


def installed_version() -> str:
    """The version of the textgrad package that is installed.

    Raises:
        MissingExtra: there is none.
    """
    try:
        return version("textgrad")
    except PackageNotFoundError as error:
        raise MissingExtra("textgrad", "textgrad", PURPOSE) from error


def package_folder() -> Path:
    """Return the directory of the installed package.

    Raises:
        MissingExtra: it is not installed.
    """
    found = importlib.util.find_spec("textgrad")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("textgrad", "textgrad", PURPOSE)
    return Path(next(iter(found.submodule_search_locations)))


def run_file(folder: Path, name: str) -> ModuleType:
    """The file *name* of the package in *folder* as a module of its own; the package around it is not run.

    Raises:
        ConfigError: it is not there, or does not run by itself.
    """
    path = folder / name
    spec = importlib.util.spec_from_file_location(f"tpo_reads_textgrad_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise moved(f"{name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise moved(f"{name} cannot be read ({type(error).__name__}: {error})") from error
    return module


def moved(what: str, found: str | None = None) -> ConfigError:
    """The error for a version of textgrad whose names are other than expected; *what* was met in it."""
    found = found or installed_version()
    return ConfigError(
        f"textgrad {found}: {what}. This was tested with textgrad {TESTED}: pip install 'textgrad=={TESTED}'"
    )
