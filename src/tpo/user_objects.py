"""Objects of the user's own, named on a command line as ``module:name``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from tpo.errors import ConfigError


def load_object(specification: str, given: str) -> Any:
    """Import what ``module:name`` names, with the working directory importable; dots lead into objects.

    *given* is what the user wrote, for the error: ``reward python:scores:length``.

    Raises:
        ConfigError: no such module or name, or the module fails as it is imported.
    """
    module_name, _, path = specification.partition(":")
    found = _import(module_name, given)
    for name in path.split("."):
        if not hasattr(found, name):
            raise ConfigError(f"{given}: {module_name} has no {path!r}")
        found = getattr(found, name)
    return found


def source_digest(module: str) -> str | None:
    """Return a digest of *module*'s source: its file, or all Python files of a package.

    The module itself is not imported (the packages around it are). None if there is no source to read.
    """
    _make_working_directory_importable()
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None or not spec.has_location:
        return None
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        return files_digest([origin])
    return files_digest(sorted(origin.parent.rglob("*.py")))


def files_digest(files: list[Path]) -> str | None:
    """Return a digest of the contents of *files*, as 16 hexadecimal digits; None if one cannot be read."""
    digest = hashlib.sha256()
    try:
        for file in files:
            content = file.read_bytes()
            digest.update(f"{len(content)}\0".encode() + content)
    except OSError:
        return None
    return digest.hexdigest()[:16]


def _import(name: str, given: str) -> Any:
    here = _make_working_directory_importable()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(f"{given}: no module {name!r}, looked in {here}") from error
        raise _failed(given, name, error) from error
    except Exception as error:
        raise _failed(given, name, error) from error


def _make_working_directory_importable() -> str:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # for good: what the module imports later may stand beside it
    return here


def _failed(given: str, name: str, error: Exception) -> ConfigError:
    return ConfigError(f"{given}: importing {name} failed with {type(error).__name__}: {error}")
