"""Print the functions of this package that one policy call passes, from the method to the HTTP library.

    python -m benchmarks.call_depth

A server in the same event loop looks at the await chain of the request that it has just received: coroutines,
generators, and, across tasks, whoever holds the task that sends. Three ways through: a plain run, one with
``--sequences``, and one with both ``--sequences`` and a server that takes no ``n``: its samples are single
requests.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, FrameType
from typing import Any

from aiohttp import web

import tpo
from tpo.methods.catalog import build_method
from tpo.policies.openai import OpenAIPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import fingerprint, run_queries
from tpo.store import RunDirectory
from tpo.types import Query, user

PACKAGE = Path(tpo.__file__).resolve().parent
ASKING = ("methods/attempt.py", "methods/branch.py", "methods/calls.py")
"""Files whose functions a method calls to ask its models."""
LAST = "http/client.py"


@dataclass
class Watching:
    """A server, with or without ``n``, that notes the longest await chain of the requests it receives."""

    takes_n: bool
    chain: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Look at the chain, then answer."""
        body = await request.json() if request.can_read_body else {}
        if not body:
            return web.json_response({"data": [{"id": "m"}]})
        self.chain = max([self.chain, *chains()], key=len)
        texts = [f"<improved_response>{i}</improved_response>" for i in range(body.get("n", 1))]
        choices = [{"index": i, "message": {"content": text}} for i, text in enumerate(texts)]
        return web.json_response({"choices": choices if self.takes_n else choices[:1]})


def chains() -> Iterator[list[str]]:
    """Yield, for each request under way, the functions from the method's call down to the HTTP library."""
    stacks = {task: list(frames(task.get_coro())) for task in asyncio.all_tasks()}
    for task, stack in stacks.items():
        if any(name(frame).startswith(LAST) for frame in stack):
            whole = [name(frame) for frame in above(task, stacks) + stack]
            own = [function for function in whole if function]
            starts = [i for i, f in enumerate(own) if asks(f) and not (i and asks(own[i - 1]))]
            yield own[starts[-1] :] if starts else []


def above(task: asyncio.Task[Any], stacks: dict[asyncio.Task[Any], list[FrameType]]) -> list[FrameType]:
    """Return the frames, of other tasks, that wait for *task*: down to the one that holds it."""
    for holder, stack in stacks.items():
        for depth, frame in enumerate(stack):
            if holder is not task and task in frame.f_locals.get("tasks", ()):
                return above(holder, stacks) + stack[: depth + 1]
    return []


def frames(awaited: Any) -> Iterator[FrameType]:
    """Yield the frames of *awaited* and of what each of them awaits, from the top down."""
    while awaited is not None:
        if isinstance(awaited, CoroutineType):
            frame, awaited = awaited.cr_frame, awaited.cr_await
        elif isinstance(awaited, AsyncGeneratorType):
            frame, awaited = awaited.ag_frame, awaited.ag_await
        else:  # one step of an asynchronous generator, which keeps its generator to itself
            awaited = next(
                (it for it in gc.get_referents(awaited) if isinstance(it, AsyncGeneratorType)), None
            )
            continue
        if frame is not None:
            yield frame


def name(frame: FrameType) -> str:
    """Return ``file:function`` for a function of this package, otherwise nothing."""
    path = Path(frame.f_code.co_filename).resolve()
    return f"{path.relative_to(PACKAGE)}:{frame.f_code.co_qualname}" if path.is_relative_to(PACKAGE) else ""


def asks(function: str) -> bool:
    """Return whether a method calls *function*."""
    return function.startswith(ASKING)


async def longest_chain(*, takes_n: bool = True, sequences: int | None = None) -> list[str]:
    """Return the functions that the deepest call of one query passes."""
    watching, app = Watching(takes_n), web.Application()
    app.router.add_route("*", "/{path:.*}", watching.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    policy = OpenAIPolicy(f"http://127.0.0.1:{runner.addresses[0][1]}", "m")
    recipe, query = build_method("tpo", max_iterations=1), Query("q", (user("hi"),))
    with tempfile.TemporaryDirectory() as folder:
        shape = fingerprint(recipe, seed=7, data=None)
        async with RunDirectory.open(Path(folder), configuration={}, fingerprint=shape) as directory:
            await run_queries([query], policy, ScriptedReward(len), recipe, directory, sequences=sequences)
    await policy.aclose()
    await runner.cleanup()
    return watching.chain


def main() -> None:
    """Print each way's functions and their number."""
    for way, options in {
        "plain": {},
        "--sequences 8": {"sequences": 8},
        "--sequences 8, a server without n": {"sequences": 8, "takes_n": False},
    }.items():
        chain = asyncio.run(longest_chain(**options))  # type: ignore[arg-type]  # by name
        sys.stdout.write("\n  ".join([f"{way}: {len(chain)}", *chain]) + "\n")


if __name__ == "__main__":
    main()
