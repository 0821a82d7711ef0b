"""Program that runs a response's code and its tests; started by :mod:`tpo.rewards.verify.python_tests`.

It reads ``{"key", "blocks", "entry_point", "tests", "seconds", "memory"}`` as JSON from standard input,
limits itself, and writes one line with a verdict for each test. A block is a pair: whether it names Python,
and its code. It imports nothing of this package.
"""

import contextlib
import json
import os
import resource
import symtable
import sys
import types


def main() -> None:
    """Run the code once and each test on what it defined."""
    job = json.load(sys.stdin)
    verdicts = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # what the code prints is nobody's verdict
        os.dup2(quiet, descriptor)
    _limit(job["seconds"], job["memory"])
    passed = [False] * len(job["tests"])
    module = sys.modules["response"] = types.ModuleType("response")  # dataclasses look their module up
    with contextlib.suppress(BaseException):
        asked = {job["entry_point"]} if job["entry_point"] else _used(job["tests"])
        code = compile(_code(job["blocks"], asked), "response", "exec")
        exec(code, module.__dict__)  # noqa: S102 - its purpose, inside the limits
        passed = [_passes(test, module.__dict__) for test in job["tests"]]
    verdicts.write(json.dumps({"key": job["key"], "passed": passed}))
    verdicts.flush()
    os._exit(0)  # threads and exit handlers of the code are not waited for


def _used(tests: list[str]) -> set[str]:
    """Return the names that the tests use and do not define."""
    used: set[str] = set()
    for test in tests:
        with contextlib.suppress(Exception):
            names = symtable.symtable(test, "test", "exec").get_symbols()
            used |= {each.get_name() for each in names if not _is_bound(each)}
    return used


def _code(blocks: list[tuple[bool, str]], asked: set[str]) -> str:
    """Return the last of the blocks that are most likely the code: those that define a name *asked* for.

    To import one is not to define it, since examples of use import what the code before them defines.
    """

    def rank(block: tuple[bool, str]) -> tuple[bool, bool, bool, bool]:
        names_python, code = block
        try:
            names = symtable.symtable(code, "response", "exec").get_symbols()
        except Exception:  # noqa: BLE001 - wrong syntax, a null byte, too deep
            return False, False, names_python, False
        found = [each for each in names if each.get_name() in asked and _is_bound(each)]
        defines = any(each.is_namespace() or not each.is_imported() for each in found)
        is_entry = bool(found)
        return defines, is_entry, names_python, is_entry or any(each.is_namespace() for each in names)

    return blocks[0][1] if len(blocks) == 1 else max(reversed(blocks), key=rank)[1]


def _is_bound(name: symtable.Symbol) -> bool:
    return name.is_assigned() or name.is_imported()


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
