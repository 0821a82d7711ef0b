"""The command line of a run, from the configuration in its record."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tpo.config.option import Setting
from tpo.config.settings import OPTIONS, SCALE


def run_command(configuration: Mapping[str, Any], out: Path, shard: str) -> str:
    """Return the command that runs *shard* of the run of *configuration* into *out*."""
    data = configuration.get("data", "DATA")
    sources = map(str, data if isinstance(data, list | tuple) else [data])
    words = ["tpo", "run", *sources, "--shard", shard, "--out", str(out)]
    for name, setting in OPTIONS.items():
        if name not in ("out", "quiet") and setting.option.panel != SCALE:
            words += _words(setting, configuration.get(name))
    return shlex.join(words)


def _words(setting: Setting, value: Any) -> Iterator[str]:
    default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    if value is None or value == default:
        return
    if isinstance(value, bool):
        yield setting.flag
        return
    for each in value if isinstance(value, list) else [value]:
        yield setting.flag
        yield json.dumps(each) if isinstance(each, dict) else str(each)
