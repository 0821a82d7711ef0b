"""What the figures need of a trajectory, so that 10,000 of them fit in memory when their texts do not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from tpo.types import Messages, Phase, Step, Trajectory, Usage, plain_text


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

    Tokens by step are those of the step's calls. Records of schema 1 hold a phase's tokens for the whole
    query only; they are divided between its steps in proportion to the characters that went in and came out.
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
        malformed=sum(len(step.unreadable) for step in trajectory.steps),
        usage=sum(trajectory.usage.values(), Usage()),
        seconds=trajectory.timing.ended - trajectory.timing.started,
        sample_read=sample.prompt_tokens,
        sample_written=sample.completion_tokens,
    )


def _digest(trajectory: Trajectory) -> str:
    text = json.dumps(trajectory.query.messages, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _steps(trajectory: Trajectory) -> Iterable[StepMeasures]:
    """Yield each step's measures, tokens and the pool's best added up from the first on."""
    steps = (trajectory.first, *trajectory.steps)
    read = accumulate(_by_step(trajectory, steps, "prompt_tokens"))
    written = accumulate(_by_step(trajectory, steps, "completion_tokens"))
    best: float | None = None
    for step, read_so_far, written_so_far in zip(steps, read, written, strict=True):
        scored = [candidate for candidate in step.candidates if candidate.score is not None]
        rewards = tuple(candidate.reward for candidate in scored)
        best = max([*rewards, *([] if best is None else [best])], default=None)
        characters = sum(len(candidate.text) for candidate in scored)
        drawn = len(step.candidates) + len(step.unreadable)
        yield StepMeasures(rewards, best, characters, drawn, read_so_far, written_so_far)


def _by_step(trajectory: Trajectory, steps: Sequence[Step], kind: str) -> list[float]:
    """Return the *kind* of tokens of each step's calls, all phases together."""
    totals = [0.0] * len(steps)
    for phase, usage in trajectory.usage.items():
        counted = [
            sum(getattr(call.usage, kind) for call in step.calls if call.phase == phase) for step in steps
        ]
        sizes = counted if any(counted) else [_size(step, phase, kind) for step in steps]
        if not any(sizes):  # schema 1 kept no calls of the first samples
            sizes = [1] + [0] * len(trajectory.steps)
        tokens = getattr(usage, kind)
        for number, size in enumerate(sizes):
            totals[number] += tokens * size / sum(sizes)
    return totals


def _size(step: Step, phase: Phase, kind: str) -> int:
    """Return the characters that went into the calls of *phase* at *step*, or came out."""
    calls = [call for call in step.calls if call.phase == phase]
    if kind == "prompt_tokens":
        return sum(_length(call.messages) for call in calls)
    replies = sum(len(reply.text) for call in calls for reply in call.replies)
    read = any(call.reads for call in calls)
    return replies + (sum(len(candidate.text) for candidate in step.candidates) if read else 0)


def _length(messages: Messages) -> int:
    return sum(len(plain_text(message)) for message in messages)
