"""Several rewards as one: each on its own fixed scale, then put together."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, pstdev
from typing import Literal, get_args

from tpo.errors import ConfigError, RewardError, reworded
from tpo.per_loop import PerLoop
from tpo.rewards.base import Reward
from tpo.rewards.calibration import Scales, calibrate, known_scales, read_scales, write_scales
from tpo.rewards.function_retry import probe_all
from tpo.rewards.values import ask_reward, score_or_raise
from tpo.types import Messages, Scope, Score

Combine = Literal["mean", "min", "lcb"]
"""The members' mean, their worst, or their mean less one standard deviation between them."""


PASS = 0.5
"""Degree from which a criterion counts as met at a gate."""


class Ensemble:
    """The *members* by name, standardised, then put together as *combine* says.

    ``lcb``, a lower confidence bound, is mean - std over the members: it distrusts what they disagree on,
    which is where one of them can be fooled (Coste et al. 2023, arXiv 2310.02743). A score's ``parts`` hold
    what each member said in its own units, and its ``criteria`` those of all; its ``value`` is in standard
    deviations.

    With *gates*, a response that fails one is below every response that passes: the value lies between 0 and
    1, less 1 for every gate that it fails. It fails one where any of the gate's criteria is below 0.5, or
    where the gate has no criteria and its score is below 0.5.

    Args:
        members: at least one, by the names under which their scores are kept.
        combine: how.
        scales: each member's mean and standard deviation; None measures them once on the shipped probes, see
            :mod:`tpo.rewards.calibration`.
        calibration: a file for the scales: read if it is there, else written once they are measured.
        weights: how much each member counts in ``mean`` and ``lcb``; 1 for those that are not named.
        gates: further rewards by name, none of them a member.

    Raises:
        ConfigError: no member, no such way, a weight of none or not above 0, or a file that does not fit.
    """

    def __init__(
        self,
        members: Mapping[str, Reward],
        combine: Combine = "mean",
        *,
        scales: Scales | None = None,
        calibration: Path | None = None,
        weights: Mapping[str, float] | None = None,
        gates: Mapping[str, Reward] | None = None,
    ) -> None:
        if not members:
            raise ConfigError("an ensemble needs at least one reward")
        if combine not in get_args(Combine):
            raise ConfigError(f"--combine {combine}: unknown; there are {', '.join(get_args(Combine))}")
        self.members, self.gates = dict(members), dict(gates or {})
        if twice := self.members.keys() & self.gates.keys():
            raise ConfigError(f"--gate {min(twice)}: it is a --reward as well; name it once")
        models = (*self.members.values(), *self.gates.values())
        self.columns = {
            name: needed for each in models for name, needed in getattr(each, "columns", {}).items()
        }
        """Columns of the data that the members and the gates read."""
        self.combine = combine
        self.weights = checked_weights(weights or {}, list(members), combine)
        self._file = calibration
        known = known_scales(members)
        if scales is None and calibration is not None and calibration.exists():
            scales = known | read_scales(calibration, [name for name in members if name not in known])
        if scales is not None and not self.members.keys() <= scales.keys():
            raise ConfigError(f"no scale for {', '.join(self.members.keys() - scales.keys())}")
        self._scales = scales
        self._measuring = PerLoop(asyncio.Lock)

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """The members' scores together, all asked at once.

        Raises:
            RewardError: a member gave none; the message names it.
        """
        scales = await self.scales()
        rewards = self.members | self.gates
        calls = [self._of(name, messages, response, scope) for name in rewards]
        # Every member is let finish, so that which failure is told does not depend on who is quicker.
        results = await asyncio.gather(*calls, return_exceptions=True)
        scores = {name: score_or_raise(result) for name, result in zip(rewards, results, strict=True)}
        standardised = {name: scales[name].standardised(scores[name].value) for name in self.members}
        value = combined(
            list(standardised.values()), self.combine, [self.weights[name] for name in standardised]
        )
        if self.gates:
            value = _unit(value) - sum(not _passes_gate(scores[name]) for name in self.gates)
        return Score(
            value,
            tokens=sum(score.tokens for score in scores.values()),
            truncated_tokens=max(score.truncated_tokens for score in scores.values()),
            parts={name: score.value for name, score in scores.items()},
            criteria=_all_criteria(scores),
        )

    def failed_gates(self, value: float) -> int:
        """Return the number of gates that a response fails to which the ensemble gave *value*."""
        return -math.floor(value) if self.gates else 0

    async def scales(self) -> Scales:
        """Each member's scale, measured by the first call if it was not given.

        Raises:
            RewardError: a member cannot be measured.
        """
        async with self._measuring.get():
            if self._scales is None:
                self._scales = await calibrate(self.members)
                if self._file is not None:
                    write_scales(self._file, self._scales)
            return self._scales

    @property
    def needs_measuring(self) -> bool:
        """Return whether the scale of a member has still to be measured."""
        return self._scales is None and len(known_scales(self.members)) < len(self.members)

    def keep(self, scales: Scales) -> None:
        """Use *scales*, those of the run that is resumed, unless others were given.

        Raises:
            ConfigError: they cannot be written to the calibration file.
        """
        if self._scales is None and self.members.keys() <= scales.keys():
            self._scales = scales
            if self._file is not None:
                write_scales(self._file, scales)

    async def probe(self, messages: Messages) -> None:
        """Probe the members that are functions of the user's own.

        Raises:
            RewardRefused: one does not work.
        """
        await probe_all([*self.members.values(), *self.gates.values()], messages)

    async def aclose(self) -> None:
        """Close every member that can be closed."""
        rewards = [*self.members.values(), *self.gates.values()]
        closers = [reward.aclose for reward in rewards if hasattr(reward, "aclose")]
        for result in await asyncio.gather(*(close() for close in closers), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _of(self, name: str, messages: Messages, response: str, scope: Scope) -> Score:
        try:
            return await ask_reward((self.members | self.gates)[name], messages, response, scope)
        except RewardError as error:
            told = reworded(error, f"{error} (reward {name} of the ensemble)")
            if told is error:
                raise
            raise told from error


def _passes_gate(score: Score) -> bool:
    """Return whether a response with the gate's *score* passes."""
    return (
        all(degree >= PASS for degree in score.criteria.values()) if score.criteria else score.value >= PASS
    )


def combined(
    standardised: Sequence[float], combine: Combine, weights: Sequence[float] | None = None
) -> float:
    """One number of the members' standardised scores, each counting by its weight."""
    if combine == "min":
        return min(standardised)
    if weights is None or len(set(weights)) == 1:
        mean, deviation = fmean(standardised), pstdev(standardised)
    else:
        mean = fmean(standardised, weights)
        deviation = math.sqrt(fmean([(value - mean) ** 2 for value in standardised], weights))
    return mean - deviation if combine == "lcb" else mean


def checked_weights(weights: Mapping[str, float], names: Sequence[str], combine: Combine) -> dict[str, float]:
    """Return a weight for each of *names*.

    Raises:
        ConfigError: a weight is of no member or not above 0, or the combination takes none.
    """
    if weights and combine == "min":
        raise ConfigError("--reward-weights: the worst of all, --combine min, takes no weights")
    for name, weight in weights.items():
        if name not in names:
            raise ConfigError(f"--reward-weights: {name} is no --reward; there are {', '.join(names)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise ConfigError(f"--reward-weights: {name}: {weight!r}; a weight is a number above 0")
    return {name: float(weights.get(name, 1.0)) for name in names}


def _unit(value: float) -> float:
    """Map any number into (0, 1), keeping the order; unlike a sigmoid it does not saturate soon."""
    return (value / (1 + abs(value)) + 1) / 2


def _all_criteria(scores: Mapping[str, Score]) -> dict[str, float]:
    """Return the criteria of all scores; a name that occurred before has its reward's before it."""
    found: dict[str, float] = {}
    for reward, score in scores.items():
        for name, degree in score.criteria.items():
            found[f"{reward}: {name}" if name in found else name] = degree
    return found
