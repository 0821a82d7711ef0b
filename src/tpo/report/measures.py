"""Measures of a trajectory for figures; small enough to keep 10,000 in memory, unlike their texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean, pstdev

from tpo.types import Candidate, Messages, Phase, Step, Trajectory, Usage, plain_text


@dataclass(frozen=True, slots=True)
class StepMeasures:
    """Measures of one step; step 0 is the first samples.

    Attributes:
        rewards: rewards of the responses of this step.
        best: best reward of the pool after this step; None for an empty pool.
        characters: total characters of the responses of this step.
        drawn: number of sampled responses, including malformed ones.
        read: prompt tokens of the policy up to and including this step.
        written: completion tokens up to and including this step.
        cached: prompt tokens from the server's cache up to and including this step.
        best_check: check reward of the best response so far; None without one.
        disagreement: mean standard deviation over the members of an ensemble; None without members.
        similarity: mean share of word pairs that a first sample has, too; None without a response.
    """

    rewards: tuple[float, ...]
    best: float | None
    characters: int
    drawn: int
    read: float
    written: float
    cached: float = 0.0
    best_check: float | None = None
    disagreement: float | None = None
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class QueryMeasures:
    """Measures of one query."""

    query: str
    digest: str
    """Digest of the messages, so that two runs are compared only on the same question."""
    finished: bool
    steps: tuple[StepMeasures, ...]
    answer: float | None
    """Reward of the answer."""
    answer_step: int | None
    malformed: int
    usage: Usage
    seconds: float
    sample_read: int
    sample_written: int
    sample_cached: int = 0
    sample_requests: int = 1

    @property
    def first_best(self) -> float | None:
        """Best reward of the first samples: the answer of best-of-N."""
        return self.steps[0].best

    @property
    def gain(self) -> float | None:
        """Reward of the best update minus the best first sample; negative if all updates are worse.

        None if there is no update.
        """
        improved = [reward for step in self.steps[1:] for reward in step.rewards]
        if not improved or self.first_best is None:
            return None
        return max(improved) - self.first_best


def measure(trajectory: Trajectory) -> QueryMeasures:
    """Return the measures of *trajectory*.

    Tokens by step are the tokens of the step's calls. Schema 1 records the tokens of a phase only per query;
    they are divided between its steps in proportion to the characters of prompts and replies.
    """
    best = trajectory.best
    sample = trajectory.first_usage
    return QueryMeasures(
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
        sample_cached=sample.cached_tokens,
        sample_requests=max(1, sample.calls),
    )


def prompt_share(requests: float, n: float, size: float) -> float:
    """Return the share of the prompt tokens of *size* samples, drawn by *requests*, that *n* of them cost.

    One request for all reads the prompt once. A server that gives one sample per request reads it for each.
    """
    return (1 + (requests - 1) * (n - 1) / max(1, size - 1)) / requests


def _digest(trajectory: Trajectory) -> str:
    text = json.dumps(trajectory.query.messages, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _steps(trajectory: Trajectory) -> Iterable[StepMeasures]:
    """Yield the measures of each step, with cumulative tokens and the best reward so far."""
    steps = (trajectory.first, *trajectory.steps)
    read = accumulate(_by_step(trajectory, steps, "prompt_tokens"))
    written = accumulate(_by_step(trajectory, steps, "completion_tokens"))
    cached = accumulate(_by_step(trajectory, steps, "cached_tokens"))
    best: Candidate | None = None
    scales = _scales(trajectory.pool)
    first_pairs = [_word_pairs(candidate.text) for candidate in trajectory.first.candidates]
    tokens = zip(read, written, cached, strict=True)
    for step, (read_so_far, written_so_far, cached_so_far) in zip(steps, tokens, strict=True):
        scored = [candidate for candidate in step.candidates if candidate.score is not None]
        rewards = tuple(candidate.reward for candidate in scored)
        best = max([*([] if best is None else [best]), *scored], key=lambda c: c.reward, default=None)
        characters = sum(len(candidate.text) for candidate in scored)
        drawn = len(step.candidates) + len(step.unreadable)
        yield StepMeasures(
            rewards,
            None if best is None else best.reward,
            characters,
            drawn,
            read_so_far,
            written_so_far,
            cached_so_far,
            None if best is None or best.score is None else best.score.check,
            _disagreement(scored, scales),
            _similarity(step, first_pairs),
        )


def _word_pairs(text: str) -> frozenset[tuple[str, str]]:
    """Return the pairs of neighbouring words of *text*, in lower case."""
    words = text.lower().split()
    return frozenset(pairwise(words))


def _similarity(step: Step, first_pairs: Sequence[frozenset[tuple[str, str]]]) -> float | None:
    shares = []
    for place, candidate in enumerate(step.candidates):
        pairs = _word_pairs(candidate.text)
        others = first_pairs if step.number else [p for i, p in enumerate(first_pairs) if i != place]
        if pairs and others:
            shares.append(len(pairs & frozenset().union(*others)) / len(pairs))
    return sum(shares) / len(shares) if shares else None


def _scales(pool: Sequence[Candidate]) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of each ensemble member over the pool, where it has any."""
    scores: dict[str, list[float]] = {}
    for candidate in pool:
        for name, value in (candidate.score.parts if candidate.score else {}).items():
            scores.setdefault(name, []).append(value)
    return {name: (fmean(values), pstdev(values)) for name, values in scores.items() if pstdev(values) > 0}


def _disagreement(scored: Sequence[Candidate], scales: Mapping[str, tuple[float, float]]) -> float | None:
    if len(scales) < 2 or not scored:
        return None
    spreads = []
    for candidate in scored:
        parts = {} if candidate.score is None else candidate.score.parts
        standardised = [
            (parts[name] - mean) / spread for name, (mean, spread) in scales.items() if name in parts
        ]
        spreads.append(pstdev(standardised) if standardised else 0.0)
    return sum(spreads) / len(spreads)


def _by_step(trajectory: Trajectory, steps: Sequence[Step], kind: str) -> list[float]:
    """Return the tokens of *kind* of each step's calls, over all phases."""
    totals = [0.0] * len(steps)
    for phase, usage in trajectory.usage.items():
        counted = [
            sum(getattr(call.usage, kind) for call in step.calls if call.phase == phase) for step in steps
        ]
        sizes = counted if any(counted) else [_size(step, phase, kind) for step in steps]
        if not any(sizes):  # schema 1 records no calls of the first samples
            sizes = [1] + [0] * len(trajectory.steps)
        tokens = getattr(usage, kind)
        for number, size in enumerate(sizes):
            totals[number] += tokens * size / sum(sizes)
    return totals


def _size(step: Step, phase: Phase, kind: str) -> int:
    """Return the characters of the prompts, or of the replies, of *phase* at *step*."""
    calls = [call for call in step.calls if call.phase == phase]
    if kind != "completion_tokens":
        return sum(_length(call.messages) for call in calls)
    replies = sum(len(reply.text) for call in calls for reply in call.replies)
    read = any(call.reads for call in calls)
    return replies + (sum(len(candidate.text) for candidate in step.candidates) if read else 0)


def _length(messages: Messages) -> int:
    return sum(len(plain_text(message)) for message in messages)
