"""Responses and their rewards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tpo.errors import TpoError
from tpo.frozen import FrozenDict, freeze
from tpo.types.calls import FinishReason, Served
from tpo.types.messages import excerpt


@dataclass(frozen=True, slots=True)
class Score:
    """A reward: larger is better.

    Attributes:
        value: the reward.
        tokens: tokens read to compute it.
        truncated_tokens: tokens of the prompt that the reward model could not read.
        parts: scores of an ensemble's members by name.
        criteria: probability or grade by criterion, where the reward is a rubric.
        check: score of a second reward that guides nothing; None without one.
    """

    value: float
    tokens: int = 0
    truncated_tokens: int = 0
    parts: Mapping[str, float] = field(default_factory=FrozenDict)
    criteria: Mapping[str, float] = field(default_factory=FrozenDict)
    check: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", freeze(self.parts))
        object.__setattr__(self, "criteria", freeze(self.criteria))


@dataclass(frozen=True, slots=True, repr=False)
class Candidate:
    """A response. Its id is ``step.index``; responses of later calls of the step append *call*.

    Attributes:
        step: the step that drew it; 0 for the first samples.
        index: the sample's index in its call.
        text: the response.
        score: the reward; None where scoring failed.
        finish_reason: why the completion ended.
        reasoning: the policy's reasoning before the response.
        served: which server wrote it.
        parents: ids of the candidates that its call was given.
        call: phase, branch and ordinal of its call; empty for the first sampled call of branch 0.
    """

    step: int
    index: int
    text: str
    score: Score | None
    finish_reason: FinishReason = "stop"
    reasoning: str | None = None
    served: Served | None = None
    parents: tuple[str, ...] = ()
    call: str = ""

    def __repr__(self) -> str:
        reward = "no score" if self.score is None else f"{self.score.value:+.3f}"
        return f"Candidate({self.id!r}, {reward}, {excerpt(self.text)})"

    @property
    def id(self) -> str:
        """``step.index``, or ``step.index-call`` for a later call of the step."""
        return f"{self.step}.{self.index}" + (f"-{self.call}" if self.call else "")

    @property
    def reward(self) -> float:
        """The score's value.

        Raises:
            TpoError: the candidate has no score.
        """
        if self.score is None:
            raise TpoError(f"candidate {self.id} has no score")
        return self.score.value


@dataclass(frozen=True, slots=True)
class Pair:
    """The contrast of a step; *rejected* is None when the pool holds one text only."""

    chosen: Candidate
    rejected: Candidate | None
