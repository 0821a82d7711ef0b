"""Values that all packages share: messages, queries, completions, scores, candidates, trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic takes the standard one from Python 3.12 on

from tpo.errors import TpoError


class Message(TypedDict):
    """One turn of a conversation, as chat servers and chat templates take it."""

    role: str
    content: str | list[dict[str, Any]]
    name: NotRequired[str]


Messages = tuple[Message, ...]

Phase = str
"""Purpose of a call, named by the method; ``sample`` for first samples, ``reward`` for scoring."""

WRITER = "writer"
"""Role of a call that samples first responses; roles are mapped to policies by configuration."""

CRITIC = "critic"
"""Role of a call that writes a critique."""

EDITOR = "editor"
"""Role of a call that samples improved responses."""

FinishReason = Literal["stop", "length", "other"]
"""Reason for a completion's end: by itself, at its token limit, or a provider's own reason."""

EMPTY: Mapping[str, Any] = {}


def user(content: str) -> Message:
    """A user's turn."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    """The model's turn."""
    return {"role": "assistant", "content": content}


def system(content: str) -> Message:
    """A system text."""
    return {"role": "system", "content": content}


@dataclass(frozen=True, slots=True)
class Query:
    """Query: a conversation that ends with a user's turn.

    *position* counts from 0 in the data; exports are in its order. It is no part of the query's identity.
    """

    id: str
    messages: Messages
    reference: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    position: int | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """The last user turn as plain text, parts that are not text left out."""
        return plain_text(self.messages[-1])


def plain_text(message: Message) -> str:
    """The text of a turn; of a turn in parts, its text parts joined by line breaks."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content if part.get("type") == "text")


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
    """A draw whose request has further fields of the server's API, such as ``stop`` or ``tools``."""

    extra: Mapping[str, Any] = field(default_factory=dict)


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
    """

    query: str
    step: int
    phase: Phase
    index: int | None = None
    branch: int = 0
    ordinal: int = 0
    role: str = field(default=WRITER, compare=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost of calls. Tokens as the server counts them; *cached_tokens* are part of *prompt_tokens*."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

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
    :class:`WeighedSampling`: for each token, those it was likeliest to be, with their log-probabilities.
    """

    index: int
    text: str
    finish_reason: FinishReason = "stop"
    usage: Usage = Usage()
    reasoning: str | None = None
    served: Served | None = None
    alternatives: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallCompletion(Completion):
    """A completion that calls tools, as the server sent the calls; it holds no response to score."""

    tool_calls: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """A reward: larger is better.

    Attributes:
        value: the reward.
        tokens: tokens read to compute it.
        truncated_tokens: tokens of the prompt that the reward model could not read.
        parts: scores of an ensemble's members by name.
        criteria: probability or grade by criterion, where the reward is a rubric.
    """

    value: float
    tokens: int = 0
    truncated_tokens: int = 0
    parts: Mapping[str, float] = field(default_factory=dict)
    criteria: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Reply:
    """A completion that is not a candidate: a critique, or an update without a readable response."""

    index: int
    text: str
    finish_reason: FinishReason = "stop"
    reasoning: str | None = None
    served: Served | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A policy call of a step.

    Attributes:
        phase: its purpose, named by the method.
        messages: the prompt.
        n: number of samples requested.
        seed: base seed; sample *i* draws with ``seed + i``.
        request: hash of messages and sampling values, under which the journal keeps it.
        branch, ordinal: see :class:`Scope`.
        role: who answered.
        reads: whether its completions are read as responses (a sampled call); False for a critique.
        replies: the critique; of a sampled call the completions without a readable response.
        usage: tokens and requests.
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

    @classmethod
    def answered(cls, phase: Phase, messages: Messages, text: str) -> Call:
        """Return a critique call with one reply."""
        return cls(phase, messages, replies=(Reply(0, text),))

    @property
    def place(self) -> str:
        """Phase, with branch and ordinal where they are not the first ones: ``loss``, ``loss.2.0``."""
        later = self.branch or self.ordinal
        return f"{self.phase}.{self.branch}.{self.ordinal}" if later else self.phase

    @property
    def text(self) -> str:
        """Text of the first reply; empty where there is none."""
        return self.replies[0].text if self.replies else ""


@dataclass(frozen=True, slots=True)
class Step:
    """An iteration (or, with number 0, the first samples): its calls and the candidates they brought.

    *pair* is the contrast where the method contrasts one pair.
    """

    number: int
    calls: tuple[Call, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    pair: Pair | None = None

    @property
    def scored(self) -> tuple[Candidate, ...]:
        """The candidates that have a score."""
        return tuple(candidate for candidate in self.candidates if candidate.score is not None)

    @property
    def blank(self) -> int:
        """Number of completions that were to be responses and hold no text beside reasoning."""
        return sum(not reply.text.strip() for reply in self.unreadable)

    @property
    def unreadable(self) -> tuple[Reply, ...]:
        """The completions from which no response could be read, in the order of their calls."""
        return tuple(reply for call in self.calls if call.reads for reply in call.replies)


Status = Literal["finished", "failed"]
FailureKind = Literal["server", "reward", "data", "method"]
"""Kind of a failure: the policy's server or model, the reward, the data, or the method's code."""
StopReason = str
"""``max_iterations``, ``error``, or the name of the stopping rule that spoke."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds since the epoch."""

    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A query's way from its first samples to its answer, whole or as far as it came.

    Attributes:
        query: what was asked.
        method: the method's name.
        first: the first samples, as step 0.
        steps: the iterations, numbered from 1.
        status: ``finished`` or ``failed``.
        stop_reason: why it ended.
        error: why it failed.
        usage: policy usage by phase.
        reward_usage: what scoring cost.
        timing: start and end.
        selection: the rule that chose the answer from the pool.
        selected: id of the answer; None if nothing was scored.
        fallback: the method that spent the rest of the budget, where one took over.
        failure: what a failed query failed of.
    """

    query: Query
    method: str
    first: Step
    steps: tuple[Step, ...]
    status: Status
    stop_reason: StopReason
    error: str | None
    usage: Mapping[Phase, Usage]
    reward_usage: RewardUsage
    timing: Timing
    selection: str = "reward"
    selected: str | None = None
    fallback: str | None = None
    failure: FailureKind | None = None

    @property
    def initial(self) -> tuple[Candidate, ...]:
        """The scored first samples."""
        return self.first.scored

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every candidate, those without a score included, first samples first."""
        return self.first.candidates + tuple(c for step in self.steps for c in step.candidates)

    @property
    def pool(self) -> tuple[Candidate, ...]:
        """Every scored candidate, first samples first."""
        return tuple(c for c in self.candidates if c.score is not None)

    @property
    def best(self) -> Candidate | None:
        """The selected candidate, else the earliest of the highest reward; None of an empty pool."""
        selected = next((c for c in self.candidates if c.id == self.selected), None)
        return selected or max(self.pool, key=lambda c: c.reward, default=None)

    @property
    def answer(self) -> str:
        """The best response's text.

        Raises:
            TpoError: the query failed before any response was scored.
        """
        if self.best is None:
            raise TpoError(f"query {self.query.id!r} has no answer: {self.error}")
        return self.best.text


@dataclass(frozen=True, slots=True)
class RewardUsage:
    """Cost of scoring."""

    calls: int = 0
    tokens: int = 0
