"""Several rewards as one: each on its own fixed scale, then put together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, pstdev
from typing import Literal, get_args

from tpo.errors import ConfigError, RewardError
from tpo.per_loop import PerLoop
from tpo.rewards.base import Reward
from tpo.rewards.calibration import Scales, calibrate, read_scales, write_scales
from tpo.rewards.function_retry import probe_all
from tpo.types import Messages, Scope, Score

Combine = Literal["mean", "min", "lcb"]
"""The members' mean, their worst, or their mean less one standard deviation between them."""


class Ensemble:
    """The *members* by name, standardised, then put together as *combine* says.

    ``lcb``, a lower confidence bound, is mean - std over the members: it distrusts what they disagree on,
    which is where one of them can be fooled (Coste et al. 2023, arXiv 2310.02743). A score's ``parts`` hold
    what each member said in its own units; its ``value`` is in standard deviations.

    Args:
        members: at least one, by the names under which their scores are kept.
        combine: how.
        scales: each member's mean and standard deviation; None measures them once on the shipped probes, see
            :mod:`tpo.rewards.calibration`.
        calibration: a file for the scales: read if it is there, else written once they are measured.

    Raises:
        ConfigError: no member, no such way, or a file that does not fit.
    """

    def __init__(
        self,
        members: Mapping[str, Reward],
        combine: Combine = "mean",
        *,
        scales: Scales | None = None,
        calibration: Path | None = None,
    ) -> None:
        if not members:
            raise ConfigError("an ensemble needs at least one reward")
        if combine not in get_args(Combine):
            raise ConfigError(f"--combine {combine}: unknown; there are {', '.join(get_args(Combine))}")
        self.members = dict(members)
        self.combine = combine
        self._file = calibration
        if scales is None and calibration is not None and calibration.exists():
            scales = read_scales(calibration, list(members))
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
        calls = [self._of(name, messages, response, scope) for name in self.members]
        # Every member is let finish, so that which failure is told does not depend on who is quicker.
        results = await asyncio.gather(*calls, return_exceptions=True)
        scores = {name: _whole(result) for name, result in zip(self.members, results, strict=True)}
        standardised = [scales[name].standardised(score.value) for name, score in scores.items()]
        return Score(
            combined(standardised, self.combine),
            tokens=sum(score.tokens for score in scores.values()),
            truncated_tokens=max(score.truncated_tokens for score in scores.values()),
            parts={name: score.value for name, score in scores.items()},
        )

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
        await probe_all(list(self.members.values()), messages)

    async def aclose(self) -> None:
        """Close every member that can be closed."""
        closers = [member.aclose for member in self.members.values() if hasattr(member, "aclose")]
        for result in await asyncio.gather(*(close() for close in closers), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _of(self, name: str, messages: Messages, response: str, scope: Scope) -> Score:
        try:
            return await self.members[name].score(messages, response, scope)
        except RewardError as error:
            raise type(error)(f"{error} (reward {name} of the ensemble)") from error


def _whole(result: Score | BaseException) -> Score:
    if isinstance(result, BaseException):
        raise result
    return result


def combined(standardised: Sequence[float], combine: Combine) -> float:
    """One number of the members' standardised scores."""
    if combine == "min":
        return min(standardised)
    if combine == "lcb":
        return fmean(standardised) - pstdev(standardised)
    return fmean(standardised)
