"""A benchmark's result as a file: what was measured, on which machine, with which versions, when, by what."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def write_result(name: str, result: dict[str, Any], *packages: str) -> None:
    """Write *result* to ``results/NAME.json`` with where it comes from, and print it."""
    record = origin(name, *packages) | result
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(record, indent=1) + "\n"
    (RESULTS / f"{name}.json").write_text(text, "utf-8")
    sys.stdout.write(text)


def put_table(page: Path, heading: str, table: str) -> None:
    """Replace the first table under the line *heading* of *page*, a file in Markdown, with *table*."""
    before, found, after = page.read_text("utf-8").partition(f"\n{heading}\n")
    text, count = re.subn(r"(?m)(?:^\|.*\n)+", lambda _: f"{table}\n", after, count=1)
    if not count:
        raise ValueError(f"{page} has no table under {heading}")
    page.write_text(before + found + text, "utf-8")


def origin(name: str, *packages: str) -> dict[str, Any]:
    """Date, command, machine and versions."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "-m", _module(name), *sys.argv[1:]]),
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "load_before": round(os.getloadavg()[0], 1),
        },
        "versions": {"python": platform.python_version(), "tpo": _commit()}
        | {package: _version(package) for package in packages},
    }


def _module(name: str) -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if spec is not None else f"benchmarks.{name}"


def cpu_name() -> str:
    """The processor, as the system calls it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    return done.stdout.strip() or _version("tpo")
