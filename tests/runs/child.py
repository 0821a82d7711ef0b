"""A run in a process of its own, to be killed: ``python -m tests.runs.child DIRECTORY QUERIES``.

Says a line for each call before it is made.
"""

import argparse
import asyncio
import resource
import signal
import sys
from pathlib import Path

from tests.runs.models import RECIPE, opened, queries, reply, reward
from tpo.errors import TpoError
from tpo.policies import PolicyCall, ScriptedPolicy
from tpo.runs import run_queries


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("queries", type=int)
    parser.add_argument("--halt", type=int, default=sys.maxsize, help="after so many calls, wait for good")
    parser.add_argument("--max-bytes", type=int, help="limit every file, as a full disk would")
    return parser.parse_args()


async def main(arguments: argparse.Namespace) -> None:
    """The whole run."""
    calls = 0

    async def tell(call: PolicyCall, index: int) -> None:
        nonlocal calls
        calls += 1
        sys.stdout.write(f"{call.scope.query} {call.scope.phase} {call.sampling.seed + index}\n")
        sys.stdout.flush()
        await (asyncio.sleep(0.001) if calls <= arguments.halt else asyncio.Event().wait())

    async with opened(arguments.directory) as directory:
        model = ScriptedPolicy(reply, before=tell)
        await run_queries(queries(arguments.queries), model, reward(2), RECIPE, directory, concurrency=4)


def full_disk(room: int) -> None:
    """No file may grow beyond *room* bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # else the signal kills; so the write fails
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, -1))


if __name__ == "__main__":
    options = parsed()
    if options.max_bytes is not None:
        full_disk(options.max_bytes)
    try:
        asyncio.run(main(options))
    except TpoError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
