"""Each member's own scale, so that rewards in different units can be put together.

A scale is fixed before the first score and never moves after it. A running mean would make a score depend
on which queries came earlier, so on concurrency and on where a run was resumed. By default the members
score the shipped probes once: the same conversations everywhere, so the same scale for the same model. On
data of a user's own a file is better: it holds what was measured, and a later run repeats it to the digit.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from tpo.errors import ConfigError, RewardRefused
from tpo.rewards.base import Reward
from tpo.rewards.probes import PROBES
from tpo.rewards.values import ask_reward
from tpo.types import Messages, Scope

FORMAT = 1

Example = tuple[Messages, str]
"""A conversation and a response to it."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Scale of a reward: *mean* and population standard deviation *std* of its scores."""

    mean: float
    std: float

    def standardised(self, value: float) -> float:
        """*value* in standard deviations from the mean."""
        return (value - self.mean) / self.std


UNIT_SCALE = Scale(0.5, 0.5)
"""Scale of rewards from 0 to 1, such as shares of checks: -1 to 1 in an ensemble."""

Scales = Mapping[str, Scale]


def known_scales(members: Mapping[str, Reward]) -> dict[str, Scale]:
    """Return the scales of those *members* that bring their own, by an attribute ``scale``."""
    scales = {name: getattr(member, "scale", None) for name, member in members.items()}
    return {name: scale for name, scale in scales.items() if isinstance(scale, Scale)}


def probe_examples() -> list[Example]:
    """The good and the poor answers of the shipped probes."""
    return [(probe.messages, text) for probe in PROBES for text in (probe.good, probe.poor)]


async def calibrate(
    members: Mapping[str, Reward], examples: Sequence[Example] | None = None
) -> dict[str, Scale]:
    """The scale of each of *members* over *examples*, by default over the shipped probes, or its own.

    Raises:
        RewardRefused: a member gives all of them the same score.
        RewardError: a member fails on one of them.
    """
    chosen = probe_examples() if examples is None else list(examples)
    known = known_scales(members)
    unknown = {name: member for name, member in members.items() if name not in known}
    scales = await asyncio.gather(*(_scale(name, member, chosen) for name, member in unknown.items()))
    return known | dict(zip(unknown, scales, strict=True))


async def _scale(name: str, member: Reward, examples: Sequence[Example]) -> Scale:
    calls = (
        ask_reward(member, messages, response, Scope("calibration", 0, "reward", index))
        for index, (messages, response) in enumerate(examples)
    )
    values = [score.value for score in await asyncio.gather(*calls)]
    scale = Scale(fmean(values), pstdev(values))
    if not scale.std > 0:
        raise RewardRefused(
            f"reward {name} gives {len(values)} different responses one score ({scale.mean:g}): it cannot"
            " be standardised for an ensemble; leave it out, or give --calibration FILE"
        )
    return scale


def scales_missing(option: str) -> ConfigError:
    """Return the refusal of a run in parts, by *option*, each of which would measure scales of its own."""
    return ConfigError(
        f"{option}: several rewards need the same scales in all parts of the run, so --calibration must name"
        f" a file that is already there; a run without {option}, with the same rewards, --limit 1 and"
        " --calibration FILE, writes it"
    )


def write_scales(path: Path, scales: Scales) -> None:
    """Keep *scales* in *path*, as JSON; a process that reads meanwhile finds all of it or what was there.

    Raises:
        ConfigError: it cannot be written.
    """
    record = {"format": FORMAT, "scales": {name: asdict(scale) for name, scale in scales.items()}}
    try:
        _replace(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigError(f"--calibration {path}: cannot be written: {error}") from error


def _replace(path: Path, text: str) -> None:
    """Replace *path* at once by a file of *text*; a symbolic link stays one.

    Raises:
        OSError: it cannot be written; what stood there still stands there.
    """
    path = Path(os.path.realpath(path))
    fresh = path.with_name(f".tpo-{secrets.token_hex(8)}.tmp")  # processes of several machines may write
    try:
        with fresh.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)  # it is there after an error only


def read_scales(path: Path, names: Sequence[str]) -> dict[str, Scale]:
    """The scales of the members *names* from *path*.

    Raises:
        ConfigError: it cannot be read, is no such file, or lacks a member.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
        rows = record["scales"]
        missing = [name for name in names if name not in rows]
        scales = {name: _scale_of(rows[name]) for name in names if name in rows}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--calibration {path}: cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--calibration {path}: holds no scales ({error}); remove it to measure the scales again"
        ) from error
    if missing:
        there = ", ".join(rows)
        raise ConfigError(f"--calibration {path}: has no scale for {', '.join(missing)}; it has {there}")
    return scales


def _scale_of(row: Any) -> Scale:
    mean, std = float(row["mean"]), float(row["std"])
    if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
        raise ValueError(f"mean {mean} and std {std} are no scale")
    return Scale(mean, std)
