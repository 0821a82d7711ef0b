"""Defaults and client keys of an endpoint, however it is started."""

from __future__ import annotations

from pathlib import Path

from tpo.errors import ConfigError

KEYS_VARIABLE = "TPO_SERVE_API_KEYS"
RETRY_TIMEOUT = 10.0
"""Seconds: a client waits, and has retries of its own; the settings' default is made for long runs."""


def read_keys(path: Path | None, variable: str) -> tuple[str, ...]:
    """Return the keys of the file at *path* and of the environment *variable*.

    Raises:
        ConfigError: the file cannot be read, or holds no key.
    """
    keys = [key.strip() for key in variable.split(",") if key.strip()]
    if path is None:
        return tuple(keys)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--api-keys {path}: cannot be read") from error
    found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not found:
        raise ConfigError(f"--api-keys {path}: holds no key")
    return (*keys, *found)
