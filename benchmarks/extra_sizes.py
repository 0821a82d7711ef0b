"""Measure the installed size of each extra beyond the core: ``python -m benchmarks.extra_sizes``.

It reads the metadata of the environment that runs it, so an extra counts as far as it is installed there.
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

INSTALLED: dict[str, Distribution] = {
    canonicalize_name(each.metadata["Name"]): each for each in distributions()
}
EXTRAS = (
    *("local", "lora", "data", "report", "bench", "serve", "verify", "ray"),
    *("alpaca", "textgrad", "docs", "all", "dev"),
)


def main() -> None:
    """Print the number of packages and megabytes."""
    core = requirements("tpo", frozenset())
    _print("core", core)
    for extra in EXTRAS:
        _print(extra, requirements("tpo", frozenset({extra})) - core)


def requirements(name: str, extras: frozenset[str]) -> set[str]:
    """Return the installed packages that *name* with *extras* needs, directly or indirectly."""
    found: set[tuple[str, str]] = set()
    pending = [(name, extra) for extra in ("", *extras)]
    while pending:
        package, extra = pending.pop()
        for text in INSTALLED[package].requires or []:
            needed = Requirement(text)
            if needed.marker is not None and not needed.marker.evaluate({"extra": extra}):
                continue
            keys = [(canonicalize_name(needed.name), each) for each in ("", *needed.extras)]
            new = [key for key in keys if key not in found and key[0] in INSTALLED]
            found.update(new)
            pending += new
    return {package for package, _ in found} - {name}


def megabytes(packages: set[str]) -> float:
    """Return the size of the files of *packages*."""
    files = [file.locate() for name in packages for file in INSTALLED[name].files or []]
    return sum(file.stat().st_size for file in map(_path, files) if file.exists()) / 1e6


def _path(file: object) -> Path:
    return Path(str(file))


def _print(name: str, packages: set[str]) -> None:
    sys.stdout.write(f"{name:10} {len(packages):4} packages {megabytes(packages):7.0f} MB\n")


if __name__ == "__main__":
    main()
