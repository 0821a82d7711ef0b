"""What the figures need of a trajectory, so that 10,000 of them fit in memory when their texts do not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from tpo.types import Candidate, Feedback, Messages, Phase, Step, Trajectory, Usage, plain_text


@dataclass(frozen=True, slots=True)
class StepMeasures:
    """One step; step 0 are the first samples.

    Attributes:
        rewards: of the responses that this step drew.
        best: of the pool after it; None of an empty pool.
        characters: of those responses, together.
        drawn: responses asked for and received, those that could not be read among them.
        read: prompt tokens of the policy up to and with this step.
        written: completion tokens, likewise.
    """

    rewards: tuple[float, ...]
    best: float | None
    characters: int
    drawn: int
    read: float
    written: float


@dataclass(frozen=True, slots=True)
class Measures:
    """One query in numbers."""

    query: str
    digest: str
    """Of what was asked, so that two runs are compared on the same question only."""
    finished: bool
    steps: tuple[StepMeasures, ...]
    answer: float | None
    """The answer's reward."""
    answer_step: int | None
    malformed: int
    usage: Usage
    seconds: float
    sample_read: int
    sample_written: int

    @property
    def first_best(self) -> float | None:
        """The best of the first samples: what best-of-N would have answered."""
        return self.steps[0].best

    @property
    def gain(self) -> float | None:
        """The best improved response less the best first sample; below zero, the updates were all worse.

        None where there is no improved response.
        """
        improved = [reward for step in self.steps[1:] for reward in step.rewards]
        if not improved or self.first_best is None:
            return None
        return max(improved) - self.first_best


def measure(trajectory: Trajectory) -> Measures:
    """The numbers of *trajectory*.

    A record holds a phase's tokens for the whole query; between its steps they are shared out in proportion
    to the characters that went in and came out.
    """
    best = trajectory.best
    sample = trajectory.usage.get("sample", Usage())
    return Measures(
        query=trajectory.query.id,
        digest=_digest(trajectory),
        finished=trajectory.status == "finished",
        steps=tuple(_steps(trajectory)),
        answer=None if best is None else best.reward,
        answer_step=None if best is None else best.step,
        malformed=sum(len(step.malformed) for step in trajectory.steps),
        usage=sum(trajectory.usage.values(), Usage()),
        seconds=trajectory.timing.ended - trajectory.timing.started,
        sample_read=sample.prompt_tokens,
        sample_written=sample.completion_tokens,
    )


def _digest(trajectory: Trajectory) -> str:
    text = json.dumps(trajectory.query.messages, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _steps(trajectory: Trajectory) -> Iterable[StepMeasures]:
    """Each step's measures, tokens and the pool's best added up from the first on."""
    sample = trajectory.usage.get("sample", Usage())
    steps = trajectory.steps
    pools: list[tuple[Candidate, ...]] = [trajectory.initial, *(step.candidates for step in steps)]
    read = accumulate([float(sample.prompt_tokens), *_shares(trajectory, "prompt_tokens")])
    written = accumulate([float(sample.completion_tokens), *_shares(trajectory, "completion_tokens")])
    malformed = [0, *(len(step.malformed) for step in steps)]
    best: float | None = None
    for pool, unread, read_so_far, written_so_far in zip(pools, malformed, read, written, strict=True):
        rewards = tuple(candidate.reward for candidate in pool)
        best = max([*rewards, *([] if best is None else [best])], default=None)
        characters = sum(len(candidate.text) for candidate in pool)
        yield StepMeasures(rewards, best, characters, len(pool) + unread, read_so_far, written_so_far)


def _shares(trajectory: Trajectory, kind: str) -> list[float]:
    """By step, its part of the *kind* of tokens of the loss, gradient and update calls."""
    totals = [0.0] * len(trajectory.steps)
    phases: tuple[Phase, ...] = ("loss", "gradient", "update")
    for phase in phases:
        tokens = getattr(trajectory.usage.get(phase, Usage()), kind)
        sizes = [_size(step, phase, kind) for step in trajectory.steps]
        for number, part in enumerate(_divide(tokens, sizes)):
            totals[number] += part
    return totals


def _divide(tokens: int, sizes: Sequence[int]) -> list[float]:
    """*tokens* in proportion to *sizes*; in equal parts where all are zero."""
    whole = sum(sizes)
    if not whole:
        return [tokens / len(sizes) for _ in sizes]
    return [tokens * size / whole for size in sizes]


def _size(step: Step, phase: Phase, kind: str) -> int:
    """Characters that went into the call of *phase* at *step*, or came out."""
    if phase == "update":
        if kind == "prompt_tokens":
            return _length(step.update)
        return sum(len(c.text) for c in step.candidates) + sum(len(m.text) for m in step.malformed)
    feedback: Feedback = step.loss if phase == "loss" else step.gradient
    return _length(feedback.messages) if kind == "prompt_tokens" else len(feedback.text)


def _length(messages: Messages) -> int:
    return sum(len(plain_text(message)) for message in messages)
