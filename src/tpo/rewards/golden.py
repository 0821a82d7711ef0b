"""Golden scores: what a reward should give, to compare with what it gives.

A served reward model has many ways of being quietly off. Its numbers are compared with those of the same
weights in this process, or with a file of them; :mod:`tpo.rewards.diagnosis` tells what to look at.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tpo.errors import ConfigError
from tpo.rewards.base import Reward
from tpo.rewards.calibration import Example, probe_examples
from tpo.rewards.diagnosis import Comparison, Evidence, Fault, diagnose
from tpo.rewards.values import ask_reward
from tpo.types import Messages, Scope


@dataclass(frozen=True, slots=True)
class Golden:
    """A conversation, a response, and the score that is right for it; *tokens*: how many are read for it."""

    messages: Messages
    response: str
    score: float
    tokens: int | None = None


async def check_golden(
    reward: Reward,
    golden: Sequence[Golden],
    misreadings: Mapping[Fault, Sequence[Sequence[float]]] | None = None,
) -> Comparison:
    """Score *golden* with *reward*, and say what is off.

    Raises:
        RewardError: the reward fails on one of them.
    """
    scores = await asyncio.gather(
        *(
            ask_reward(reward, one.messages, one.response, Scope("golden", 0, "reward", index))
            for index, one in enumerate(golden)
        )
    )
    pairs = [(one.tokens, score.tokens) for one, score in zip(golden, scores, strict=True)]
    known = all(right and read for right, read in pairs)
    longer = tuple(read - (right or 0) for right, read in pairs) if known else ()
    return diagnose(
        [one.score for one in golden],
        [score.value for score in scores],
        Evidence(longer, misreadings or {}),
    )


async def golden_scores(reward: Reward, examples: Sequence[Example] | None = None) -> list[Golden]:
    """Return the scores of *reward* (weights in this process) for *examples*, by default the shipped probes.

    Raises:
        RewardError: the reward fails on one of them.
    """
    chosen = probe_examples() if examples is None else list(examples)
    scores = await asyncio.gather(
        *(ask_reward(reward, *one, Scope("golden", 0, "reward", index)) for index, one in enumerate(chosen))
    )
    return [
        Golden(messages, response, score.value, score.tokens or None)
        for (messages, response), score in zip(chosen, scores, strict=True)
    ]


def write_golden(path: Path, golden: Sequence[Golden]) -> None:
    """Keep *golden* in *path*, one JSON object a line.

    Raises:
        ConfigError: it cannot be written.
    """
    lines = [json.dumps(_record(one)) for one in golden]
    try:
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    except OSError as error:
        raise ConfigError(f"golden scores {path}: cannot be written: {error}") from error


def _record(one: Golden) -> dict[str, Any]:
    record = {"messages": list(one.messages), "response": one.response, "score": one.score}
    return record if one.tokens is None else record | {"tokens": one.tokens}


def read_golden(path: Path) -> list[Golden]:
    """The golden scores in *path*.

    Raises:
        ConfigError: it cannot be read, is empty, or a line of it is wrong; the message names the line.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"golden scores {path}: cannot be read: {error}") from error
    golden = [_golden(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not golden:
        raise ConfigError(f"golden scores {path}: the file is empty")
    return golden


def _golden(line: str, where: str) -> Golden:
    try:
        record = json.loads(line)
        messages, response, score = record["messages"], record["response"], float(record["score"])
        turns = tuple({"role": str(turn["role"]), "content": turn["content"]} for turn in messages)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{where}: write an object with messages, response, score ({type(error).__name__}: {error})"
        ) from error
    if not (turns and isinstance(response, str) and math.isfinite(score)):
        raise ConfigError(f"{where}: messages must not be empty, response is a text, score a finite number")
    tokens = record.get("tokens")
    return Golden(cast("Messages", turns), response, score, tokens if isinstance(tokens, int) else None)
