"""Things of the user's own, named on a command line as ``module:name``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from tpo.errors import ConfigError


def load_object(specification: str, given: str) -> Any:
    """What ``module:name`` names, the working directory being importable; dots lead into objects.

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


def _import(name: str, given: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # for good: what the module imports later may stand beside it
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(f"{given}: no module {name!r}, looked in {here}") from error
        raise _failed(given, name, error) from error
    except Exception as error:
        raise _failed(given, name, error) from error


def _failed(given: str, name: str, error: Exception) -> ConfigError:
    return ConfigError(f"{given}: importing {name} failed with {type(error).__name__}: {error}")
