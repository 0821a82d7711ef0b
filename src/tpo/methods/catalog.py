"""The methods by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tpo.errors import ConfigError
from tpo.methods.best_of_n import BestOfN
from tpo.methods.fused import Fused
from tpo.methods.method import Method
from tpo.methods.paper import Paper
from tpo.methods.textgrad.method import textgrad, textgrad_revision
from tpo.methods.tpo import Tpo
from tpo.methods.wording import load_wording
from tpo.naming import load_object

Builder = Callable[..., Method]

MIGRATION = "docs/migration.md"


def tpo(prompts: Path | None = None, **shape: Any) -> Tpo:
    """Return the paper's method as one growing conversation, for servers with prefix caching."""
    return Tpo(wording=load_wording("conversation", prompts), **shape)


def paper(prompts: Path | None = None, **shape: Any) -> Paper:
    """Return the paper's method in the paper's layout: independent calls with system texts."""
    return Paper(wording=load_wording("independent", prompts), **shape)


def revision(prompts: Path | None = None, **shape: Any) -> Tpo:
    """Return the paper's baseline that never sees the rejected response."""
    wording = load_wording("conversation", prompts)
    return Tpo(name="revision", shows_rejected=False, wording=wording, **shape)


def paper_revision(prompts: Path | None = None, **shape: Any) -> Paper:
    """Return revision in the paper's layout."""
    wording = load_wording("independent", prompts)
    return Paper(name="paper-revision", shows_rejected=False, wording=wording, **shape)


def fused(prompts: Path | None = None, **shape: Any) -> Fused:
    """Return ``tpo`` with loss and gradient in one call: a round trip less a step."""
    return Fused(wording=load_wording("fused", prompts), **shape)


def bon(prompts: Path | None = None, **shape: Any) -> BestOfN:
    """Return best-of-N: only the first samples are drawn."""
    return BestOfN(wording=load_wording("conversation", prompts), **(shape | {"max_iterations": 0}))


def paper_bon(prompts: Path | None = None, **shape: Any) -> BestOfN:
    """Return best-of-N behind the paper's system text."""
    wording = load_wording("independent", prompts)
    return BestOfN(name="paper-bon", wording=wording, **(shape | {"max_iterations": 0}))


METHODS: Mapping[str, Builder] = MappingProxyType(
    {
        "tpo": tpo,
        "paper": paper,
        "revision": revision,
        "fused": fused,
        "bon": bon,
        "paper-revision": paper_revision,
        "paper-bon": paper_bon,
        "textgrad": textgrad,
        "textgrad-revision": textgrad_revision,
    }
)


def build_method(name: str, prompts: Path | None = None, **shape: Any) -> Method:
    """Return the method *name* with its texts from *prompts* where given; *shape* sets N, D and sampling.

    ``module:class`` names a :class:`Method` of the user's own, or a function that makes one.

    Raises:
        ConfigError: there is no such method, or a value is out of its range.
    """
    if name in METHODS:
        return METHODS[name](prompts, **shape)
    if ":" not in name:
        raise ConfigError(f"--method {name}: unknown; there are {', '.join(METHODS)}, and MODULE:CLASS")
    return _of_the_user(name, prompts, shape)


def _of_the_user(name: str, prompts: Path | None, shape: dict[str, Any]) -> Method:
    given = f"--method {name}"
    builder = load_object(name, given)
    texts = {} if prompts is None else {"prompts": prompts}
    wanted = f"{given}: it must be a Method, or a function that makes one (see {MIGRATION} for a Recipe)"
    try:
        method = builder(**texts, **shape)
    except TypeError as error:
        raise ConfigError(f"{wanted}: {error}") from error
    if not isinstance(method, Method):
        raise ConfigError(f"{wanted}; got {method!r:.200}")
    return method
