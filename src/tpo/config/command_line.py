"""Command-line words that give settings: the reverse of reading them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tpo.config.settings import OPTIONS, Settings

ALWAYS = frozenset({"policy", "reward", "max_tokens", "concurrency"})
"""Settings whose default depends on others."""


def settings_words(
    settings: Settings, environment: Mapping[str, str], *, without: Collection[str] = ()
) -> list[str]:
    """Return the words with which ``tpo run`` has the same *settings* in the same *environment*.

    A setting with its default value is left out unless a variable of *environment* would change it. API keys
    are no settings and stay in the environment.

    Args:
        settings: the values.
        environment: variables of the shell in which the command will run.
        without: names of settings to leave out.
    """
    wanted = {
        name: getattr(settings, name)
        for name, each in OPTIONS.items()
        if name not in without
        and (name in ALWAYS or getattr(settings, name) != each.default or environment.get(each.variable))
    }
    return option_words(wanted)


def option_words(values: Mapping[str, Any]) -> list[str]:
    """Return the flags that set the options *values*, by their names; None and False need no flag."""
    return [word for name, value in values.items() for word in _words(OPTIONS[name].flag, value)]


def _words(flag: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    if isinstance(value, tuple):
        return [word for each in value for word in (flag, each)]
    if isinstance(value, dict):
        return [flag, json.dumps(value, ensure_ascii=False)]
    return [flag, str(value) if isinstance(value, str | Path) else repr(value)]
