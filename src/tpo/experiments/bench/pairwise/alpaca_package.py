"""Adapter of the package ``alpaca-eval``: its prompts, order, parsers and length control.

No other module imports the package. The judge is called by tpo, so that calls are retried, limited and
resumed like all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tpo.errors import ConfigError, MissingExtra
from tpo.types import Message, Messages

DEFAULT_ANNOTATOR = "weighted_alpaca_eval_gpt4_turbo"
"""Annotator of AlpacaEval 2, which reads the judge's log-probabilities at one token."""
REPOSITORY, TABLE = "tatsu-lab/alpaca_eval", "df_gamed.csv"
"""Table of the difficulties of the instructions."""
SLOTS = frozenset({"instruction", "output_1", "output_2"})
SEED = 0
"""The package's default seed, which decides the order of a pair."""

_SLOT = re.compile(r"\{(instruction|output_1|output_2)\}")
_ANY_SLOT = re.compile(r"\{([^{}\s]+?)\}")
_OWN_FIELDS = {"model_name", "max_tokens", "temperature", "top_p", "logprobs", "top_logprobs"}


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Request for one pair; *frame* is the package's row, which maps the verdict back to the given order."""

    messages: Messages
    frame: Any


class Annotator:
    """The package's annotator *name*, used pair by pair.

    Raises:
        MissingExtra: the package is not installed or cannot be imported.
        ConfigError: there is no such annotator, or a chat server cannot serve its requests.
    """

    def __init__(self, name: str = DEFAULT_ANNOTATOR) -> None:
        self.name = name
        self._single = _annotator(name)
        self._template = _chat(self._single.prompt_template, name)
        own = dict(self._single.completions_kwargs)
        if self._single.batch_size != 1 or set(own) - _OWN_FIELDS:
            raise ConfigError(
                f"--grader-option annotator={name}: it compares several pairs per request or calls functions,"
                f" which is not supported; use {DEFAULT_ANNOTATOR} or another annotator that reads text"
            )
        self.max_tokens = int(own.get("max_tokens", 2048))
        self.temperature = float(own.get("temperature", 0.0))
        self.top_p = float(own.get("top_p", 1.0))
        self.alternatives = int(own.get("top_logprobs") or 0)

    def prepare(self, instruction: str, baseline: str, answer: str) -> JudgedPair:
        """Return the request for one pair, in the order that the package draws for this instruction."""
        pandas = import_module("pandas")
        frame = pandas.DataFrame(
            [{"instruction": instruction, "output_1": baseline, "output_2": answer}], dtype=object
        )
        for processor in self._single.processors:
            frame = processor.preprocess(frame)
        texts = {slot: str(frame.iloc[0][slot]) for slot in SLOTS}
        turns = (
            Message(role=role, content=_SLOT.sub(lambda slot: texts[slot[1]], content))
            for role, content in self._template
        )
        return JudgedPair(tuple(turns), frame)

    def preference(
        self, pair: JudgedPair, text: str, alternatives: Sequence[Mapping[str, float]]
    ) -> float | None:
        """Return the preference from 1 (baseline) to 2 (model); None if the reply cannot be parsed."""
        try:
            (found,) = self._single.fn_completion_parser(self._completion(text, alternatives))
            found = float(found)
        except Exception:  # noqa: BLE001 - its parsers raise anything; the package ignores such replies
            return None
        found = 1.5 if found == 0 else found
        if not 1 <= found <= 2:  # also excludes nan
            return None
        frame = pair.frame.copy()
        frame["preference"] = found
        for processor in reversed(self._single.processors):
            frame = processor.postprocess(frame)
        return float(frame.iloc[0]["preference"])

    def _completion(self, text: str, alternatives: Sequence[Mapping[str, float]]) -> Any:
        """Return a reply in the format of the package's parsers."""
        if not self.alternatives:
            return text
        tokens = [
            {"top_logprobs": [{"token": token, "logprob": value} for token, value in likely.items()]}
            for likely in alternatives[:1]
        ]
        return {"text": text, "logprobs": {"content": tokens}}


def length_controlled(annotations: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the length-controlled win rate and its standard error, in percent, by the package's regression.

    *annotations* are rows of ``preference`` (nan: none), ``output_1``, ``output_2``, ``generator_1`` and
    ``generator_2``, all 805 in the published order: the package joins their difficulty by position. That
    table, :data:`TABLE`, it reads from the hub's cache, else from the hub.

    Raises:
        OSError: the table is not in the cache, and the hub cannot be reached.
        ValueError: the package failed otherwise.
    """
    metrics = _package("alpaca_eval.metrics")
    try:
        with _table_from_cache():
            found = metrics.get_length_controlled_winrate(
                list(annotations), save_weights_dir=None, is_warn_extreme_changes=False
            )
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"alpaca-eval raised {type(error).__name__}: {error}") from error
    return float(found["length_controlled_winrate"]), float(found["lc_standard_error"])


@contextmanager
def _table_from_cache() -> Iterator[None]:
    """Let the package read its table from the hub's cache without a request.

    The hub's client asks for a newer version first, and without a network it retries that for 20 seconds, for
    each number.

    Raises:
        OSError: the table is not in the cache, and the hub cannot be reached.
    """
    cached = _package("huggingface_hub").try_to_load_from_cache(REPOSITORY, TABLE, repo_type="dataset")
    if not isinstance(cached, str):
        if (reason := _why_unreachable()) is not None:
            raise OSError(reason)
        yield
        return
    settings: Any = import_module("huggingface_hub.constants")  # the library has no other switch
    before, settings.HF_HUB_OFFLINE = settings.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        settings.HF_HUB_OFFLINE = before


@cache
def _why_unreachable() -> str | None:
    """Return why the hub does not answer a single request for the table; None: it does."""
    hub = _package("huggingface_hub")
    try:
        hub.get_hf_file_metadata(hub.hf_hub_url(REPOSITORY, TABLE, repo_type="dataset"))
    except Exception as error:  # noqa: BLE001 - the library lets through what its HTTP client raises
        return f"{type(error).__name__}: {error}"
    return None


def package_version() -> str:
    """Return ``alpaca-eval`` and its version for results; only the name if it is not installed."""
    try:
        return f"alpaca-eval {version('alpaca-eval')}"
    except PackageNotFoundError:
        return "alpaca-eval"


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:  # the package, or a dependency: setuptools below 82 for pkg_resources
        raise MissingExtra(f"alpaca-eval ({error})", "alpaca", "alpaca-eval-2") from error


def _annotator(name: str) -> Any:
    constants, utils = _package("alpaca_eval.constants"), _package("alpaca_eval.utils")
    annotators = _package("alpaca_eval.annotators")
    try:
        configs = utils.load_configs(name, relative_to=constants.EVALUATORS_CONFIG_DIR)
        (config,) = configs.values()
        return annotators.SinglePairwiseAnnotator(seed=SEED, **config | {"fn_completions": _never})
    except Exception as error:
        raise ConfigError(
            f"--grader-option annotator={name}: alpaca-eval raised {type(error).__name__}: {error}"
        ) from error


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError("the package must not call the judge")


def _chat(template: str, name: str) -> tuple[tuple[str, str], ...]:
    """Return the template's messages, split before texts are inserted, so that no answer can add messages."""
    try:
        turns = _package("alpaca_eval.utils").prompt_to_chatml(template)
    except AssertionError as error:
        raise ConfigError(
            f"--grader-option annotator={name}: its prompt has no chat messages, which a judge needs"
        ) from error
    slots = {slot for turn in turns for slot in _ANY_SLOT.findall(turn["content"])}
    if slots != SLOTS:
        raise ConfigError(f"--grader-option annotator={name}: its prompt must have the slots {sorted(SLOTS)}")
    return tuple((str(turn["role"]), str(turn["content"])) for turn in turns)
