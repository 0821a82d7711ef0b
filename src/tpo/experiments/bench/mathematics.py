"""Equality of mathematical results by ``math-verify``, in worker processes.

Some answers (towers of powers, hundreds of brackets) keep that library busy for ever. Its own timeout is
wall-clock time, so that a busy machine would turn right answers into wrong ones; the timeout here is
processor time. Both need signals, which reach the main thread of a process only.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from itertools import pairwise
from typing import Any

from tpo.errors import MissingExtra, TpoError
from tpo.experiments.bench.grading import Answer, Context, Grade, ungraded
from tpo.policies.siblings import as_finished

SECONDS = 10.0
"""Timeout of one answer in seconds of processor time; nearly all take less than a tenth of a second."""

AGAIN = 0.5
"""Interval in seconds at which the timeout signal is repeated."""

WORKERS = 4
"""Maximum of worker processes."""
ANSWERS_EACH = 16
"""Answers for each worker at least: a process takes seconds to start."""


_BOX = re.compile(r"\\(?:boxed|fbox)\b")
_RETRACTION = re.compile(
    r"\b(?:wait|oops|sorry|actually|correction|corrected|correctly|mistaken?|wrong|incorrect|error|instead"
    r"|reconsider|re-?check|re-?evaluat\w*|re-?examin\w*|revis(?:e|ed|ing)|scratch that|not right"
    r"|the (?:correct|right|true) (?:answer|result|value|solution))\b",
    re.IGNORECASE,
)
"""Words by which an answer takes back what it said."""


class _TooLong(BaseException):
    """Timeout of a comparison; no ordinary exception, since the library catches those."""


def check(context: Context) -> None:
    """Refuse before any call if the library is missing.

    Raises:
        MissingExtra: it is.
    """
    del context
    library()


def library() -> Any:
    """Return the module ``math_verify``.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return import_module("math_verify")
    except ImportError as error:
        raise MissingExtra("math-verify", "bench", "grading mathematics") from error


def compare(gold: str, answer: str, seconds: float = SECONDS) -> Grade:
    r"""Grade whether the result in *answer*, a whole text, equals *gold*, a piece of LaTeX without dollars.

    The result is what stands in ``\boxed{}``, else what the library finds: after words such as "the answer
    is", or last. Several boxes count together, but those before a retraction ("wait", "correction") do not
    count. Intervals equal the relations that describe them. An answer without any result is wrong, as is one
    whose comparison takes too long; a gold that cannot be read leaves it ungraded. Must be called in a main
    thread.
    """
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its own clock is off
    verify = library()
    late = Grade(0.0, "took too long", {"gold": gold})
    try:
        with _bounded(seconds) as over:
            grade = _compare(verify, gold, answer)
    except _TooLong:
        return late
    return late if over else grade


def _compare(verify: Any, gold: str, answer: str) -> Grade:
    latex, plain = verify.LatexExtractionConfig(boxed_match_priority=0), verify.ExprExtractionConfig()
    wanted = verify.parse(f"${gold}$", [verify.LatexExtractionConfig(), plain], parsing_timeout=None)
    if not wanted:
        return ungraded(f"math-verify cannot read the reference {gold[:200]!r}")
    found = verify.parse(after_retraction(answer), [latex, plain], parsing_timeout=None)
    details = {"gold": gold, "result": _as_written(found)}
    if not found:
        return Grade(0.0, "no result", details)
    equal = verify.verify(wanted, found, allow_set_relation_comp=True, timeout_seconds=None)
    return Grade(float(equal), "correct" if equal else "wrong", details)


def after_retraction(answer: str) -> str:
    """Return *answer* from the last retraction that stands between two boxes on; all of it without one."""
    start = 0
    boxes = [found.start() for found in _BOX.finditer(answer)]
    for box, following in pairwise(boxes):
        if retraction := _RETRACTION.search(answer, box, following):
            start = retraction.start()
    return answer[start:]


@contextmanager
def _bounded(seconds: float) -> Iterator[list[bool]]:
    """Raise :class:`_TooLong` in the block when this process has worked for *seconds*.

    Yields:
        a list that is empty until then: where the signal falls into a callback of the interpreter, what it
        raises is lost there, and the next one must end the block.
    """
    over: list[bool] = []

    def stop(*_: object) -> None:
        over.append(True)
        raise _TooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, AGAIN)
    try:
        yield over
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _as_written(found: list[Any]) -> str | None:
    """Return the result as it stands in the text: its parsed form may be too large to print."""
    return next((text[:500] for text in reversed(found) if isinstance(text, str)), None)


async def grade_mathematics(answers: Sequence[Answer], context: Context) -> AsyncIterator[tuple[int, Grade]]:
    """Yield the grade of each answer against its query's reference, several at a time.

    Raises:
        MissingExtra: the library is not installed.
        TpoError: a process of it died; what was graded before is kept.
    """
    check(context)
    workers = max(1, min(WORKERS, os.cpu_count() or 1, len(answers) // ANSWERS_EACH))
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
