"""Equality of mathematical results by ``math-verify``, in worker processes.

Some answers (towers of powers, hundreds of brackets) never finish in that library. Its own timeout is
wall-clock time, so a busy machine would turn right answers into wrong ones; the timeout here is processor
time. Both need signals, which only reach the main thread of a process.
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
from tpo.experiments.bench.graders.base import Answer, Grade, GradingContext, ungraded
from tpo.policies.siblings import as_finished

SECONDS = 10.0
"""Timeout of one answer in seconds of processor time; nearly all take less than a tenth of a second."""

AGAIN = 0.5
"""Interval in seconds at which the timeout signal is repeated."""

WORKERS = 4
"""Maximum number of worker processes."""
ANSWERS_EACH = 16
"""Minimum number of answers per worker, because a process takes seconds to start."""


_BOX = re.compile(r"\\(?:boxed|fbox)\b")
_RETRACTION = re.compile(
    r"\b(?:wait|oops|sorry|actually|correction|corrected|correctly|mistaken?|wrong|incorrect|error|instead"
    r"|reconsider|re-?check|re-?evaluat\w*|re-?examin\w*|revis(?:e|ed|ing)|scratch that|not right"
    r"|the (?:correct|right|true) (?:answer|result|value|solution))\b",
    re.IGNORECASE,
)
"""Words with which an answer retracts a result."""
_FINAL = re.compile(
    r"\banswer is:?\s*\**\s*(?P<result>\$[^$]+\$|\\\(.+?\\\)|-?\d+(?:[,./]\d+)*(?![,./]?\d)"
    r"(?![\w\\^√π(]|!(?!\s*\Z))(?!\s*(?:[+/^=<>√π]|\*\s*[\w\\(]|-\s*(?:\d|\\|(?-i:[a-z]\b)))))"
    r"(?:(?![.!]\s)[^\d$\\?\n])*\Z",
    re.IGNORECASE,
)
"""A last sentence that states one formula as the answer, or one number that begins no longer expression."""


class _TimedOut(BaseException):
    """Timeout of a comparison; not an ``Exception``, because the library catches those."""


def check_math_verify(context: GradingContext) -> None:
    """Check that the library is installed.

    Raises:
        MissingExtra: it is not.
    """
    del context
    _load_math_verify()


def _load_math_verify() -> Any:
    """Return the module ``math_verify``.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return import_module("math_verify")
    except ImportError as error:
        raise MissingExtra("math-verify", "bench", "grading mathematics") from error


def compare_with_reference(gold: str, answer: str, seconds: float = SECONDS) -> Grade:
    r"""Compare the result in *answer*, a text, with *gold*, a LaTeX expression without dollar signs.

    The result is the content of ``\boxed{}``, or else what the library extracts: after phrases such as "the
    answer is", or the last expression. Several boxes count together, except those before a retraction
    ("wait", "correction") and another box, or before one and a last sentence "the answer is X". Intervals
    equal the relations that describe them. An answer without a result is wrong, as is one whose comparison
    times out; if *gold* cannot be parsed, the answer is ungraded. Must be called in a main thread.
    """
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its own timeout is disabled
    verify = _load_math_verify()
    timed_out = Grade(0.0, "took too long", {"gold": gold})
    try:
        with _time_limit(seconds) as over:
            grade = _compare(verify, gold, answer)
    except _TimedOut:
        return timed_out
    return timed_out if over else grade


def _compare(verify: Any, gold: str, answer: str) -> Grade:
    latex, plain = verify.LatexExtractionConfig(boxed_match_priority=0), verify.ExprExtractionConfig()
    wanted = verify.parse(f"${gold}$", [verify.LatexExtractionConfig(), plain], parsing_timeout=None)
    if not wanted:
        return ungraded(f"math-verify cannot read the reference {gold[:200]!r}")
    found = verify.parse(_after_retraction(answer), [latex, plain], parsing_timeout=None)
    details = {"gold": gold, "result": _as_written(found)}
    if not found:
        return Grade(0.0, "no result", details)
    equal = verify.verify(wanted, found, allow_set_relation_comp=True, timeout_seconds=None)
    return Grade(float(equal), "correct" if equal else "wrong", details)


def _after_retraction(answer: str) -> str:
    """Return *answer* from its last retraction between two boxes; all of it if there is none.

    A retraction behind the last box counts where the last sentence says "the answer is X": X is returned.
    """
    start = 0
    boxes = [found.start() for found in _BOX.finditer(answer)]
    for box, following in pairwise(boxes):
        if retraction := _RETRACTION.search(answer, box, following):
            start = retraction.start()
    final = _FINAL.search(answer.rstrip(), boxes[-1]) if boxes else None
    if final and _RETRACTION.search(answer, boxes[-1], final.start("result")):
        start = final.start()
    return answer[start:]


@contextmanager
def _time_limit(seconds: float) -> Iterator[list[bool]]:
    """Raise :class:`_TimedOut` in the block after *seconds* of processor time.

    Yields:
        a list that is empty until then: an exception raised inside a callback of the interpreter is lost, and
        a later signal must end the block.
    """
    over: list[bool] = []

    def stop(*_: object) -> None:
        over.append(True)
        raise _TimedOut

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


async def grade_mathematics(
    answers: Sequence[Answer], context: GradingContext
) -> AsyncIterator[tuple[int, Grade]]:
    """Yield the grade of each answer against its query's reference, several at a time.

    Raises:
        MissingExtra: the library is not installed.
        TpoError: a worker process died; finished grades are kept.
    """
    check_math_verify(context)
    workers = max(1, min(WORKERS, os.cpu_count() or 1, len(answers) // ANSWERS_EACH))
    # Spawned, not forked: models in this process may use threads and a GPU.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    loop = asyncio.get_running_loop()

    async def at(position: int) -> tuple[int, Grade]:
        answer = answers[position]
        return position, await loop.run_in_executor(
            pool, compare_with_reference, answer.query.reference or "", answer.text
        )

    try:
        async for found in as_finished(at(position) for position in range(len(answers))):
            yield found
    except BrokenExecutor as error:
        raise TpoError("a worker process of math-verify died (out of memory?); try again") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
