"""The 25 checks of IFEval (Zhou et al. 2023, arXiv 2311.07911) and the 58 of IFBench (arXiv 2507.02833).

They are the authors' own code, as the package if-verifiable ships it. A row names them in
``instruction_id_list``, with ``kwargs`` for each.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from tpo.errors import MissingExtra, RewardRefused
from tpo.rewards.verify.reward import column_of, numbered
from tpo.types import Query

log = logging.getLogger(__name__)

NLTK_DATA = "punkt_tab averaged_perceptron_tagger_eng stopwords"
IDS, ARGUMENTS = "instruction_id_list", "kwargs"
_LOADING = threading.Lock()
"""Held while the packages are loaded: the responses of a query are checked in several threads."""


async def ifeval_checks(response: str, query: Query) -> dict[str, bool]:
    """Return which of the row's instructions *response* follows, strictly as the authors count.

    Raises:
        ValueError: the row lacks a column, an instruction is unknown, or its arguments are not complete.
        RewardRefused: some checks need data of NLTK that are not installed.
    """
    return await asyncio.to_thread(followed_instructions, response, query)


def followed_instructions(response: str, query: Query, *, loose: bool = False) -> dict[str, bool]:
    """Return the same in this thread; *loose* also accepts the response without its first or last line.

    Raises:
        ValueError, RewardRefused: as :func:`ifeval_checks`.
    """
    ids, arguments = _column(query, IDS), _column(query, ARGUMENTS)
    if len(ids) != len(arguments):
        raise ValueError(f"{IDS} has {len(ids)} entries, and {ARGUMENTS} {len(arguments)}")
    variants = [response]
    if loose:
        from if_verifiable.common import get_loose_transformations

        variants = get_loose_transformations(response)
    found = []
    for name, given in zip(ids, arguments, strict=True):
        checker = _checker(str(name), given or {}, query.text)
        found.append(any(follows(checker, text) for text in variants))
    return dict(zip(numbered([str(name) for name in ids]), found, strict=True))


def load_checks() -> Mapping[str, Any]:
    """Return IFEval's checks by the names of instructions.

    Raises:
        MissingExtra: if-verifiable is not installed.
    """
    with _LOADING:
        return _registry()


def load_ifbench_checks() -> Mapping[str, Any]:
    """Return IFBench's checks by the names of instructions.

    Raises:
        MissingExtra: if-verifiable is not installed.
    """
    with _LOADING:
        return _ifbench_registry()


@cache
def _ifbench_registry() -> Mapping[str, Any]:
    _registry()
    with _without_downloads():
        from if_verifiable.ifbench.instructions_registry import INSTRUCTION_DICT
        from nltk.corpus import stopwords
    with suppress(
        LookupError
    ):  # its first use by several threads at once fails; a check tells what is missing
        stopwords.ensure_loaded()
    known: Mapping[str, Any] = INSTRUCTION_DICT
    return known


@contextmanager
def _without_downloads() -> Iterator[None]:
    """Keep NLTK from downloading data during the block: the import of IFBench's checks would."""
    import nltk

    download, nltk.download = nltk.download, lambda *_, **__: False
    try:
        yield
    finally:
        nltk.download = download


@cache
def _registry() -> Mapping[str, Any]:
    try:
        from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT
        from langdetect import DetectorFactory, detector_factory
    except ImportError as error:
        raise MissingExtra("if-verifiable", "verify", "--reward verify:ifeval") from error
    DetectorFactory.seed = 0  # it draws at random otherwise, and a check would change from call to call
    detector_factory.init_factory()  # while it loads its languages, other threads would see a part of them
    known: Mapping[str, Any] = INSTRUCTION_DICT
    return known


def _column(query: Query, name: str) -> list[Any]:
    value = column_of(query, name)
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, list):
        raise ValueError(f"column {name!r} holds no list")
    return value


def _checker(name: str, given: Any, prompt: str) -> Any:
    """Return the check *name*, told what to look for.

    Raises:
        ValueError: there is none such, or an argument is missing: the package would draw it at random.
    """
    known = load_checks()
    if name not in known:
        known = load_ifbench_checks()
    if name not in known:
        raise ValueError(f"unknown instruction {name!r}")
    if not isinstance(given, dict):
        raise ValueError(f"instruction {name!r}: its kwargs are no object")
    checker = known[name](name)
    arguments = {key: value for key, value in given.items() if value is not None}
    missing = set(checker.get_instruction_args_keys()) - arguments.keys()
    if missing:
        raise ValueError(f"instruction {name!r}: its kwargs lack {', '.join(sorted(missing))}")
    try:
        checker.build_description(**arguments)
        built = checker.get_instruction_args()
        if built and "prompt" in built:  # as the authors' code does
            checker.build_description(prompt=prompt)
    except (TypeError, ValueError) as error:
        raise ValueError(f"instruction {name!r}: {error}") from error
    return checker


def follows(checker: Any, text: str) -> bool:
    """Return whether *text* passes *checker*, which was told what to look for; blank text never does.

    A text on which the authors' code raises an exception does not pass: some checks take text for granted.

    Raises:
        RewardRefused: the check needs data of NLTK that are not installed.
    """
    try:
        return bool(text.strip()) and bool(checker.check_following(text))
    except Exception as error:
        if isinstance(error, LookupError) and "nltk" in str(error):
            raise RewardRefused(
                f"{checker.id} needs data of NLTK: python -m nltk.downloader {NLTK_DATA}"
            ) from error
        if isinstance(error, ImportError | OSError):  # not for what the text says
            raise
        _warn(checker.id, type(error).__name__)
        log.info("%s: %r on the text %.200r", checker.id, error, text)
        return False


@cache
def _warn(name: str, error: str) -> None:
    log.warning("%s: the check fails on some texts (%s), which count as not followed", name, error)
