"""Are two pieces of mathematics equal? Asked of ``math-verify``, in processes of their own.

That library bounds its time by alarm signals, which reach the main thread of a process only, and some answers
(towers of powers, hundreds of brackets) keep it busy until then.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from importlib import import_module, metadata
from typing import Any

from tpo.bench.grading import Answer, Context, Grade, ungraded
from tpo.errors import MissingExtra, TpoError
from tpo.policies.siblings import as_finished

SECONDS = 10
"""Longest time for reading a text, and for a comparison; the library's own 5 suit a machine that is free."""

WORKERS = 4
"""Most processes at work."""


def check(context: Context) -> None:
    """Refuse before any call if the library is missing.

    Raises:
        MissingExtra: it is.
    """
    del context
    library()


def library() -> Any:
    """``math_verify``.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return import_module("math_verify")
    except ImportError as error:
        raise MissingExtra("math-verify", "bench", "grading mathematics") from error


def compare(gold: str, answer: str) -> Grade:
    r"""Whether the result in *answer*, a whole text, equals *gold*, a piece of LaTeX without dollars.

    The result is what stands in ``\boxed{}``, else what the library finds: after words such as "the answer
    is", or last. An answer without any result is wrong, as is one whose comparison takes too long; a gold
    that cannot be read leaves it ungraded. Must be called in a main thread.
    """
    verify = library()
    latex, plain = verify.LatexExtractionConfig(boxed_match_priority=0), verify.ExprExtractionConfig()
    wanted = verify.parse(f"${gold}$", [verify.LatexExtractionConfig(), plain], parsing_timeout=SECONDS)
    if not wanted:
        return ungraded(f"math-verify cannot read the reference {gold[:200]!r}")
    found = verify.parse(answer, [latex, plain], parsing_timeout=SECONDS)
    details = {"gold": gold, "result": _as_written(found)}
    if not found:
        return Grade(0.0, "no result", details)
    equal = verify.verify(wanted, found, timeout_seconds=SECONDS)
    return Grade(float(equal), "correct" if equal else "wrong", details)


def _as_written(found: list[Any]) -> str | None:
    """The result as it stood in the text: what was read of it may be too large to print."""
    return next((text[:500] for text in reversed(found) if isinstance(text, str)), None)


async def grade_mathematics(answers: Sequence[Answer], context: Context) -> AsyncIterator[tuple[int, Grade]]:
    """Each answer against its query's reference, several at a time.

    Raises:
        MissingExtra: the library is not installed.
        TpoError: a process of it died; what was graded before is kept.
    """
    check(context)
    workers = max(1, min(WORKERS, os.cpu_count() or 1, len(answers)))
    # Spawned, not forked: the models of this process may hold threads and a GPU.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    loop = asyncio.get_running_loop()

    async def at(position: int) -> tuple[int, Grade]:
        answer = answers[position]
        return position, await loop.run_in_executor(pool, compare, answer.query.reference or "", answer.text)

    try:
        async for found in as_finished(at(position) for position in range(len(answers))):
            yield found
    except BrokenExecutor as error:
        raise TpoError("a process that compares mathematics died (out of memory?); try again") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def version() -> str:
    """Of the library, for the record."""
    return metadata.version("math-verify")
