"""The values that all floors speak in: frozen, plain, made of the field's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NotRequired, TypedDict

from tpo.errors import TpoError


class Message(TypedDict):
    """One turn of a conversation, as chat servers and chat templates take it."""

    role: str
    content: str | list[dict[str, Any]]
    name: NotRequired[str]


Messages = tuple[Message, ...]

Phase = Literal["sample", "loss", "gradient", "update", "reward"]
"""What a call is for: first samples, textual loss, textual gradient, improved samples, scoring."""

FinishReason = Literal["stop", "length", "other"]
"""Why a completion ended: by itself, cut at its token limit, or for a reason of the provider's own."""

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
    """What is to be answered: a conversation that ends with a user's turn.

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
    """How one policy call draws: sample *i* of *n* uses ``seed + i``."""

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
class Scope:
    """Where in a run a call belongs; *index* is the sample's for a reward call, else None."""

    query: str
    step: int
    phase: Phase
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls cost. Tokens as the server counts them; *cached_tokens* are part of *prompt_tokens*."""

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
    """Which server wrote a text, and what it was not given so that the call fits the server's context.

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
class Score:
    """A reward: larger is better. *tokens* were read for it; *parts* are the members of an ensemble."""

    value: float
    tokens: int = 0
    truncated_tokens: int = 0
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scored response of the pool; its id is ``step.index``, step 0 being the first samples."""

    step: int
    index: int
    text: str
    score: Score
    finish_reason: FinishReason = "stop"
    reasoning: str | None = None
    served: Served | None = None

    @property
    def id(self) -> str:
        """``step.index``."""
        return f"{self.step}.{self.index}"

    @property
    def reward(self) -> float:
        """The score's value."""
        return self.score.value


@dataclass(frozen=True, slots=True)
class Pair:
    """The contrast of a step; *rejected* is None when the pool holds one text only."""

    chosen: Candidate
    rejected: Candidate | None


@dataclass(frozen=True, slots=True)
class Feedback:
    """A critique call: the messages that went in (none: no call was made) and the text that came out."""

    messages: Messages = ()
    text: str = ""
    finish_reason: FinishReason = "stop"
    served: Served | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """An update from which no response could be read, kept as it came."""

    index: int
    text: str
    finish_reason: FinishReason
    served: Served | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One iteration: what was contrasted, said, asked for and got."""

    number: int
    pair: Pair
    loss: Feedback
    gradient: Feedback
    update: Messages
    candidates: tuple[Candidate, ...] = ()
    malformed: tuple[Malformed, ...] = ()


Status = Literal["finished", "failed"]
StopReason = Literal["max_iterations", "no_parsable_update", "error"]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds since the epoch."""

    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A query's way from its first samples to its best answer, whole or as far as it came."""

    query: Query
    method: str
    initial: tuple[Candidate, ...]
    steps: tuple[Step, ...]
    status: Status
    stop_reason: StopReason
    error: str | None
    usage: Mapping[Phase, Usage]
    reward_usage: RewardUsage
    timing: Timing

    @property
    def pool(self) -> tuple[Candidate, ...]:
        """Every candidate so far, first samples first."""
        return self.initial + tuple(c for step in self.steps for c in step.candidates)

    @property
    def best(self) -> Candidate | None:
        """The highest reward of the pool, the earliest of equals; None of an empty pool."""
        return max(self.pool, key=lambda c: c.reward, default=None)

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
    """What scoring cost."""

    calls: int = 0
    tokens: int = 0
