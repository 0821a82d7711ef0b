"""What starting costs: CPU seconds of ``tpo --help``, and what ``import tpo`` brings in.

python -m benchmarks.start_up
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from benchmarks.record import write_result

ROUNDS = 9
HEAVY = ("torch", "transformers", "aiohttp", "datasets", "pyarrow")


def cpu_seconds(*arguments: str) -> float:
    """CPU that a Python process with *arguments* takes, system and user."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - own words
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def heavy_after(statement: str) -> list[str]:
    """Which heavy libraries are loaded after *statement*."""
    code = f"{statement}; import sys; print(*[m for m in {HEAVY} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603


def main() -> None:
    """Measure, and write the result."""
    start = "from tpo.cli.main import main; main()"
    times = {
        "python alone": [cpu_seconds("-c", "pass") for _ in range(ROUNDS)],
        "import tpo": [cpu_seconds("-c", "import tpo") for _ in range(ROUNDS)],
        "tpo --help": [cpu_seconds("-c", start, "--help") for _ in range(ROUNDS)],
    }
    shown = {
        name: {"median_s": round(statistics.median(values), 3), "least_s": round(min(values), 3)}
        for name, values in times.items()
    }
    loaded = {s: heavy_after(s) for s in ("import tpo", "import tpo.cli.main")}
    write_result("start_up", {"cpu_seconds": shown, "heavy_libraries_loaded": loaded}, "typer", "rich")


if __name__ == "__main__":
    main()
