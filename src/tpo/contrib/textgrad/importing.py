"""The import of ``textgrad``, kept from what it does beside: it happens here alone, and only when asked for.

Left to itself, importing textgrad makes ``./logs`` and a file in it that receives every prompt and answer,
and the client library that it brings (litellm) reads ``.env`` files into the environment and asks the network
for a list of prices. None of that is needed to optimize text.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from types import ModuleType

from tpo.errors import ConfigError, MissingExtra
from tpo.methods.textgrad.installed import moved

LOG_FOLDER = "TEXTGRAD_LOG_DIR"
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
}
"""Settings of litellm, for the time of its import: no price list from the network, no ``.env``."""

_importing = Lock()


def import_textgrad() -> ModuleType:
    """The package textgrad, imported without leaving files, touching the network or reading ``.env``.

    Where it is imported already it is given as it stands. A log is kept where ``TEXTGRAD_LOG_DIR`` names a
    folder for it, and only there; variables that are set count as they are.

    Raises:
        MissingExtra: it is not installed.
        ConfigError: it is, and cannot be imported.
    """
    with _importing:
        if sys.modules.get("textgrad") is not None:
            return sys.modules["textgrad"]
        with tempfile.TemporaryDirectory(prefix="tpo-textgrad-") as folder:
            keeps_log = LOG_FOLDER in os.environ
            with _defaults({LOG_FOLDER: folder, **QUIET}):
                package = _import()
            if not keeps_log:
                _end_log(package.logger)
        return package


def _import() -> ModuleType:
    try:
        return importlib.import_module("textgrad")
    except ModuleNotFoundError as error:
        if error.name == "textgrad":
            raise MissingExtra("textgrad", "textgrad", "an engine for TextGrad") from error
        raise _failed(error) from error
    except Exception as error:
        raise _failed(error) from error


def _failed(error: Exception) -> ConfigError:
    return moved(f"it cannot be imported ({type(error).__name__}: {error})")


def _end_log(logger: logging.Logger) -> None:
    """Let go of the file; from now on the logger does what the program's own logging says."""
    for handler in list(logger.handlers):
        if isinstance(handler, logging.FileHandler):
            logger.removeHandler(handler)
            handler.close()
    logger.setLevel(logging.NOTSET)


@contextmanager
def _defaults(values: Mapping[str, str]) -> Iterator[None]:
    """*values* in the environment for the block, where it does not have its own."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
