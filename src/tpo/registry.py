"""Registry of model kinds: parse a model's name, validate it, describe it and build the model.

A kind of policy or reward is a subclass of :class:`ModelSpec` in a file of its own. An entry point in the
group ``tpo.policies`` or ``tpo.rewards`` names the class, and the entry point's name is the prefix of the
model names that the class parses: ``vllm`` for ``vllm:http://127.0.0.1:8001``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypedDict, TypeVar

from tpo.entry_points import POLICIES, REWARDS, load, names, registered
from tpo.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from tpo.events import Listener
    from tpo.types import Sampling

REWARD_KEY_VARIABLE = "TPO_REWARD_API_KEY"
"""Holds the key of a reward's server, which must not be sent the policy's."""

ModelT_co = TypeVar("ModelT_co", covariant=True)


class ModelKeywords(TypedDict, total=False):
    """Keywords of functions that build a model: the fields of :class:`ModelOptions`."""

    model: str | None
    extra: Mapping[str, Any]
    dtype: str | None
    device: str | None
    trust_remote_code: bool
    max_batch_tokens: int | None
    timeout: float
    retry_timeout: float
    concurrency: int
    sampling: Sampling | None
    tokenizer: str | None
    rubric: Path | None
    votes: int
    api_key: str | None
    listener: Listener | None
    own: Any


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Options that a kind may use to build its model; each kind uses those that apply to it.

    Attributes:
        model: the model's name at a server.
        extra: fields added to each request to a policy's server.
        dtype, device, trust_remote_code: for a model in this process.
        max_batch_tokens: tokens of a batch of a reward model in this process; None: its own choice.
        timeout: read timeout in seconds.
        retry_timeout: seconds during which a failing request is retried.
        concurrency: maximum calls in flight per server.
        sampling: the run's sampling values, with which a server is checked at the start.
        tokenizer: tokenizer of a served reward model.
        rubric: file with a judge's criteria.
        votes: samples per score of a judge without log-probabilities.
        api_key: the server's key.
        listener: receives an event for each retry.
        own: the kind's own options, an instance of its ``Options``; None if it has none.
    """

    model: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    dtype: str | None = None
    device: str | None = None
    trust_remote_code: bool = False
    max_batch_tokens: int | None = None
    timeout: float = 1200.0
    retry_timeout: float = 300.0
    concurrency: int = 64
    sampling: Sampling | None = None
    tokenizer: str | None = None
    rubric: Path | None = None
    votes: int = 5
    api_key: str | None = field(default=None, repr=False)
    listener: Listener | None = None
    own: Any = None


@dataclass(frozen=True)
class ModelSpec(ABC, Generic[ModelT_co]):
    """A model's name, parsed by its kind: validates the name, describes the model and builds it.

    Nothing but :meth:`build` loads a model.
    """

    name: str
    """As the user wrote it."""

    usage: ClassVar[str]
    """Form of such a name, such as ``hf:ID-OR-PATH``."""
    summary: ClassVar[str]
    """Meaning of such a name, in a few words."""
    takes: ClassVar[frozenset[str]] = frozenset()
    """Those of the options ``model``, ``extra`` and ``rubric`` that this kind uses; others refuse them."""
    Options: ClassVar[type | None] = None
    """A dataclass of the kind's own options, set as ``kind_options.KIND`` and validated against it."""
    gives_logits: ClassVar[bool] = False
    """True if a reward's scores are raw logits of a classifier."""

    @property
    def kind(self) -> str:
        """The prefix of the name, under which the kind is registered."""
        return self.name.partition(":")[0]

    @property
    def value(self) -> str:
        """The rest of the name, after the prefix."""
        return self.name.partition(":")[2]

    @property
    def urls(self) -> tuple[str, ...]:
        """The servers' base URLs; empty for a model in this process."""
        return ()

    @property
    def model(self) -> str | None:
        """The model's name at the servers, if the name tells it."""
        return None

    @property
    def location(self) -> str | None:
        """The directory or hub id of the weights, if they can be read here; it counts in the fingerprint."""
        return None

    @property
    def source(self) -> str | None:
        """A digest of the user's source code, if the model is made of that; it counts in the fingerprint."""
        return None

    @property
    def parts(self) -> tuple[ModelSpec[Any], ...]:
        """The specs of the models that it is made of: itself, or the members of a group of models."""
        return (self,)

    def check(self, option: str) -> None:
        """Validate the name; *option* is where it was given.

        Raises:
            ConfigError: it is malformed.
        """

    def resolve(self, options: ModelOptions) -> None:
        """Find the model without loading it or asking a server.

        Raises:
            ConfigError: it is not there.
        """

    @abstractmethod
    def build(self, options: ModelOptions) -> ModelT_co:
        """Build the model, or its client.

        Raises:
            MissingExtra: a library is not installed.
            PolicyRefused, RewardRefused: the model cannot be loaded.
        """

    def columns(self, options: ModelOptions) -> Mapping[str, bool]:
        """Return the columns of the data that the model reads; True for those that it cannot do without."""
        del options
        return {}

    def identity(self, options: ModelOptions) -> str:
        """Return the name that must stay the same when a run is resumed."""
        del options
        return self.name

    def details(self, options: ModelOptions) -> dict[str, Any]:
        """Return the further values that must stay the same, as plain JSON."""
        del options
        return {}

    def short_name(self, options: ModelOptions) -> str:
        """Return the model's name as a directory's name includes it."""
        return self.identity(options).rstrip("/").rpartition("/")[2]

    def join(self, others: Sequence[Self]) -> Self:
        """Return the spec of one model on this server and on *others*.

        Raises:
            ConfigError: the kind does not serve one model from several places.
        """
        raise ConfigError(f"{others[0].name}: {self.usage} takes one name only")

    async def find_model(self, options: ModelOptions) -> str | None:
        """Return the model's name at the server, asking the server if no option names it."""
        return options.model


def parse(group: str, name: str, option: str) -> ModelSpec[Any]:
    """Return the spec of the policy or reward *name*, validated; *option* is where it was given.

    Raises:
        ConfigError: no kind has such names, or its kind refuses it.
    """
    kind = find_kind(group, name)
    if kind is None:
        shown = _shown(name)
        raise ConfigError(
            f"{option} {shown}: unknown; {_meant(group, shown)}there are {_list(usages(group))}"
        )
    spec = kind(name)
    spec.check(option)
    return spec


def find_kind(group: str, name: str) -> type[ModelSpec[Any]] | None:
    """Return the class that parses names such as *name*; None if no kind does."""
    prefix, colon, _ = name.partition(":")
    if prefix not in registered(group):
        return None
    kind: type[ModelSpec[Any]] = load(group, prefix, prefix)
    return kind if bool(colon) == (":" in kind.usage) else None


def usages(group: str) -> list[str]:
    """Return how the names of each kind of *group* are written."""
    return list(dict.fromkeys(_usage(group, name) for name in names(group)))


def describe(group: str) -> str:
    """Return what may be named, for help texts: each kind with what it means, or the names alone."""
    if group not in (POLICIES, REWARDS):
        return ", ".join(names(group))
    kinds = [f"{_usage(group, name)}{_summary(group, name)}" for name in names(group)]
    return _list(list(dict.fromkeys(kinds)), "or")


def split_names(text: str) -> tuple[str, ...]:
    """Return the URLs between the commas of *text*, or *text* alone if it is anything else."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    return parts if parts and all(map(is_url, parts)) else (text,)


def is_url(text: str) -> bool:
    """Return whether *text* is a server's base URL."""
    return text.startswith(("http://", "https://"))


def refuse_secrets(option: str, url: str, variable: str) -> None:
    """Refuse a *url* with a password or a query, where keys stand, without repeating it.

    Raises:
        ConfigError: naming *variable*, which is where a key belongs.
    """
    if "@" in url:
        raise ConfigError(
            f"{option}: a URL must not contain a password, because URLs are written to files; set {variable}"
        )
    if "?" in url:
        raise ConfigError(
            f"{option} {_shown(url)}: leave out what follows the path; a key belongs into {variable}"
        )


def _usage(group: str, name: str) -> str:
    try:
        usage: str = load(group, name, name).usage
    except ConfigError:  # a package that fails as it is imported is told of when it is used
        return f"{name}:..."
    return usage


def _summary(group: str, name: str) -> str:
    try:
        summary: str = load(group, name, name).summary
    except ConfigError:
        return ""
    return f" ({summary})"


def _list(items: Sequence[str], word: str = "and") -> str:
    return f"{', '.join(items[:-1])} {word} {items[-1]}" if len(items) > 1 else "".join(items)


def _meant(group: str, name: str) -> str:
    """Return what a name that no kind has may have been meant as."""
    if "/" in name and ":" not in name and "hf" in registered(group):
        return f"did you mean hf:{name}? "
    if name.partition(":")[2][:1].isdigit() and "http" in registered(group):
        return f"did you mean http://{name}? "
    return ""


def _shown(name: str) -> str:
    from tpo.http.address import without_secrets  # on demand: it brings an HTTP client

    return without_secrets(name)
