"""Policy calls: place, sampling values, completions, cost and record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tpo.types.messages import Messages, Query, excerpt

Phase = str
"""Purpose of a call, named by the method; ``sample`` for first samples, ``reward`` for scoring."""

WRITER = "writer"
"""Role of a call that samples first responses; roles are mapped to policies by configuration."""

CRITIC = "critic"
"""Role of a call that writes a critique."""

EDITOR = "editor"
"""Role of a call that samples improved responses."""

JUDGE = "judge"
"""Role of the model that compares responses for a selection."""

FinishReason = Literal["stop", "length", "other"]
"""Reason for a completion's end: by itself, at its token limit, or a provider's own reason."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling values of one policy call: sample *i* of *n* uses ``seed + i``."""

    n: int = 1
    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int = 2048
    seed: int = 7

    def only(self, index: int) -> Sampling:
        """The same draw for sample *index* alone."""
        return replace(self, n=1, seed=self.seed + index)


@dataclass(frozen=True, slots=True)
class WeighedSampling(Sampling):
    """A draw that also asks, of servers that tell them, for the likeliest *alternatives* at each token."""

    alternatives: int = 5


@dataclass(frozen=True, slots=True)
class ExtendedSampling(Sampling):
    """A draw whose request has further fields of the server's API, such as ``stop`` or ``tools``.

    Calls of the same *route* go to the same one of several servers; None takes the query's id.
    """

    extra: Mapping[str, Any] = field(default_factory=dict)
    route: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """The place of a call in a run.

    Attributes:
        query: the query's id.
        step: 0 for the first samples, then 1 to D.
        phase: the purpose of the call.
        index: the sample's index for a reward call or a single sample, else None.
        branch: number of the concurrent branch of the step that made the call.
        ordinal: how many calls of this phase the same branch of the step made before.
        role: who answers, mapped to a policy by configuration; no part of the call's identity.
        data: the query with its columns and reference, in a reward call of a run; no part of its identity.
    """

    query: str
    step: int
    phase: Phase
    index: int | None = None
    branch: int = 0
    ordinal: int = 0
    role: str = field(default=WRITER, compare=False)
    data: Query | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost of calls. Tokens as the server counts them; *cached_tokens* are part of *prompt_tokens*."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Served:
    """Server that wrote a text, and what was left out so that the call fits its context.

    ``by``: its base URL. ``max_tokens``: the reply's limit, where it had to be lowered. ``cut_turn``: the
    position of the message whose middle was left out, and ``cut_characters`` how much of it.
    """

    by: str
    max_tokens: int | None = None
    cut_turn: int | None = None
    cut_characters: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """One finished sample of a policy call.

    The usages of a call's completions add up to the call's own: a request's prompt, and whatever else the
    provider counts once a request, stands with the first completion that it yields. *alternatives* answer a
    ``WeighedSampling``: for each token, those it was likeliest to be, with their log-probabilities.
    """

    index: int
    text: str
    finish_reason: FinishReason = "stop"
    usage: Usage = Usage()
    reasoning: str | None = None
    served: Served | None = None
    alternatives: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """Piece of sample *index*, while it is being written.

    The text of a sample's deltas, from the last one that *restarts* on, is the text of its completion.

    Attributes:
        index: the sample.
        text: the piece.
        reasoning: the piece belongs to the reasoning and not to the text.
        restarts: earlier deltas of the sample no longer count, since its reply broke off and was requested
            again, or turned out to be reasoning.
    """

    index: int
    text: str
    reasoning: bool = False
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class ToolCallCompletion(Completion):
    """A completion that calls tools, as the server sent the calls; it holds no response to score."""

    tool_calls: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A completion that is not a candidate: a critique, or an update without a readable response."""

    index: int
    text: str
    finish_reason: FinishReason = "stop"
    reasoning: str | None = None
    served: Served | None = None

    def __repr__(self) -> str:
        return f"Reply({self.index}, {excerpt(self.text)})"


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """A policy call of a step.

    Attributes:
        phase: its purpose, named by the method.
        messages: the prompt.
        n: number of samples requested.
        seed: base seed; sample *i* draws with ``seed + i``.
        request: hash of messages and sampling values, under which the journal keeps it.
        branch, ordinal: see ``Scope``.
        role: who answered.
        reads: whether its completions are read as responses (a sampled call); False for a critique.
        replies: the critique; of a sampled call the completions without a readable response.
        usage: tokens and requests.
        draws: where the draw was continued, the first index and the usage of each part; else empty.
    """

    phase: Phase
    messages: Messages
    n: int = 1
    seed: int = 0
    request: str = ""
    branch: int = 0
    ordinal: int = 0
    role: str = WRITER
    reads: bool = False
    replies: tuple[Reply, ...] = ()
    usage: Usage = Usage()
    draws: tuple[tuple[int, Usage], ...] = ()

    @classmethod
    def answered(cls, phase: Phase, messages: Messages, text: str) -> Call:
        """Return a critique call with one reply."""
        return cls(phase, messages, replies=(Reply(0, text),))

    def __repr__(self) -> str:
        return f"Call({self.place}, n={self.n}, {len(self.messages)} messages, {len(self.replies)} replies)"

    @property
    def place(self) -> str:
        """Phase, with branch and ordinal where they are not the first ones: ``loss``, ``loss.2.0``."""
        later = self.branch or self.ordinal
        return f"{self.phase}.{self.branch}.{self.ordinal}" if later else self.phase

    def usage_of(self, start: int, stop: int) -> Usage | None:
        """Return the usage of the draws that began with a sample from *start* to *stop*; None without any.

        A record without ``draws`` has one that began with sample 0.
        """
        draws = self.draws or ((0, self.usage),)
        found = [usage for first, usage in draws if start <= first < stop]
        return sum(found, Usage()) if found else None

    @property
    def text(self) -> str:
        """Text of the first reply; empty where there is none."""
        return self.replies[0].text if self.replies else ""
