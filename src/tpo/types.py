"""Values that all packages share: messages, queries, completions, scores, candidates, trajectories."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, NotRequired, Self

from typing_extensions import TypedDict  # pydantic takes the standard one from Python 3.12 on

from tpo.errors import DataError, PolicyError, RewardError, TpoError
from tpo.frozen import FrozenDict, freeze


class Message(TypedDict):
    """One turn of a conversation, as chat servers and chat templates take it."""

    role: str
    content: str | list[dict[str, Any]]
    name: NotRequired[str]


# Pydantic keeps keys that this package does not know (tool calls, names).
Message.__pydantic_config__ = {"extra": "allow"}  # type: ignore[attr-defined]  # pydantic's own protocol

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


@dataclass(frozen=True, slots=True, repr=False)
class Query:
    """Query: a conversation that ends with a user's turn.

    *position* counts from 0 in the data; exports are in its order. It is no part of the query's identity.
    """

    id: str
    messages: Messages
    reference: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    position: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Copy messages and metadata, so that they cannot be changed from elsewhere."""
        object.__setattr__(self, "messages", freeze(tuple(self.messages)))
        object.__setattr__(self, "metadata", freeze(self.metadata))

    def __repr__(self) -> str:
        return f"Query({self.id!r}, {_start(self.text)})"

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
        return f"Candidate({self.id!r}, {reward}, {_start(self.text)})"

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


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A completion that is not a candidate: a critique, or an update without a readable response."""

    index: int
    text: str
    finish_reason: FinishReason = "stop"
    reasoning: str | None = None
    served: Served | None = None

    def __repr__(self) -> str:
        return f"Reply({self.index}, {_start(self.text)})"


@dataclass(frozen=True, slots=True, repr=False)
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

    def __repr__(self) -> str:
        return f"Call({self.place}, n={self.n}, {len(self.messages)} messages, {len(self.replies)} replies)"

    @property
    def place(self) -> str:
        """Phase, with branch and ordinal where they are not the first ones: ``loss``, ``loss.2.0``."""
        later = self.branch or self.ordinal
        return f"{self.phase}.{self.branch}.{self.ordinal}" if later else self.phase

    @property
    def text(self) -> str:
        """Text of the first reply; empty where there is none."""
        return self.replies[0].text if self.replies else ""


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """An iteration (or, with number 0, the first samples): its calls and the candidates they brought.

    *pair* is the contrast where the method contrasts one pair.
    """

    number: int
    calls: tuple[Call, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    pair: Pair | None = None

    def __repr__(self) -> str:
        return f"Step({self.number}, {len(self.calls)} calls, {len(self.candidates)} candidates)"

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
"""What a failed query failed of: the policy's server or model, the reward, its data, or the method's code."""
StopReason = str
"""``max_iterations``, ``error``, or the name of the rule that spoke."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds since the epoch."""

    started: float
    ended: float


class _Raised:
    """Slot for the exception of a failed trajectory, which is no part of its value."""

    __slots__ = ("_raised",)


@dataclass(frozen=True, slots=True, repr=False)
class Trajectory(_Raised):
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "usage", freeze(self.usage))

    def __repr__(self) -> str:
        best = "" if self.best is None or self.best.score is None else f", best {self.best.reward:+.3f}"
        failed = "" if self.error is None else f": {_start(self.error)}"
        return (
            f"Trajectory({self.query.id!r}, {self.method}, {len(self.candidates)} candidates{best}"
            f", {self.status}{failed})"
        )

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

    @property
    def exception(self) -> BaseException | None:
        """The exception that the query failed of; None if it finished.

        A trajectory from a file or another process has an error of the kind that its record names.
        """
        if self.status == "finished":
            return None
        raised: BaseException | None = getattr(self, "_raised", None)
        return raised if raised is not None else self._recorded()

    def raise_for_status(self) -> Self:
        """Return the trajectory itself if its query finished.

        Raises:
            TpoError: the query failed; it is the :attr:`exception`, or has it as its cause.
        """
        failed = self.exception
        if failed is None:
            return self
        if isinstance(failed, TpoError):
            raise failed
        raise self._recorded() from failed

    def caused_by(self, failure: BaseException) -> Self:
        """Return the same trajectory with *failure* as its exception."""
        same = replace(self)
        object.__setattr__(same, "_raised", failure)
        return same

    def _recorded(self) -> TpoError:
        """Return an error that says what the record says."""
        named = f"query {self.query.id!r}"
        error = self.error or "failed"
        return _ERRORS.get(self.failure, TpoError)(error if named in error else f"{named}: {error}")

    def to_dict(self) -> dict[str, Any]:
        """Return the trajectory in JSON's types, for :meth:`from_dict`; its keys are the attributes."""
        plain: dict[str, Any] = _plain(self)
        return plain

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Trajectory:
        """Return the trajectory of which :meth:`to_dict` gave *value*.

        Raises:
            DataError: *value* holds no whole trajectory; the message names the first fault.
        """
        from pydantic import ValidationError

        try:
            found: Trajectory = _adapter().validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the value"
            raise DataError(f"no trajectory: {where}: {first['msg']}") from error
        return found


@dataclass(frozen=True, slots=True)
class RewardUsage:
    """Cost of scoring."""

    calls: int = 0
    tokens: int = 0


_ERRORS: Mapping[FailureKind | None, type[TpoError]] = {
    "server": PolicyError,
    "reward": RewardError,
    "data": DataError,
}
_SHOWN = 60
"""Characters of a text in a representation."""


def _start(text: str) -> str:
    """Return the start of *text*, quoted."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "\u2026")


def _plain(value: Any) -> Any:
    """Return *value* in JSON's types; what they cannot hold becomes its text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


@functools.cache
def _adapter() -> Any:
    """Return pydantic's adapter of a trajectory, which takes milliseconds to make."""
    from pydantic import TypeAdapter

    return TypeAdapter(Trajectory)
