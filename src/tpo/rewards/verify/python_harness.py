"""Program that runs a response's code and its tests; started by :mod:`tpo.rewards.verify.python_tests`.

It reads ``{"code", "tests", "seconds", "memory"}`` as JSON from standard input, limits itself, and writes one
line with a verdict for each test. It imports nothing of this package.
"""

import contextlib
import json
import os
import resource
import sys


def main() -> None:
    """Run the code once and each test on what it defined."""
    job = json.load(sys.stdin)
    verdicts = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # what the code prints is nobody's verdict
        os.dup2(quiet, descriptor)
    _limit(job["seconds"], job["memory"])
    passed = [False] * len(job["tests"])
    space: dict[str, object] = {"__name__": "response"}
    with contextlib.suppress(BaseException):
        exec(compile(job["code"], "response", "exec"), space)  # noqa: S102 - its purpose, inside the limits
        passed = [_passes(test, space) for test in job["tests"]]
    verdicts.write(json.dumps({"key": job["key"], "passed": passed}))
    verdicts.flush()
    os._exit(0)  # threads and exit handlers of the code are not waited for


def _passes(test: str, space: dict[str, object]) -> bool:
    try:
        exec(compile(test, "test", "exec"), dict(space))  # noqa: S102 - its purpose, inside the limits
    except BaseException:  # noqa: BLE001 - SystemExit is no success either
        return False
    return True


def _limit(seconds: float, memory: int) -> None:
    cpu = int(seconds) + 1
    limits = {
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: 1_000_000,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 64,
    }
    for kind, value in limits.items():
        with contextlib.suppress(ValueError, OSError):  # a lower limit is set already
            resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main()
