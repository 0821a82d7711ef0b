"""The built-in methods, and any method by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tpo.entry_points import METHODS, load
from tpo.errors import ConfigError
from tpo.methods.best_of_n import BestOfN
from tpo.methods.fused import Fused
from tpo.methods.method import Method
from tpo.methods.paper import Paper
from tpo.methods.tpo import Tpo
from tpo.methods.wording import load_wording

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


def build_method(name: str, prompts: Path | None = None, **shape: Any) -> Method:
    """Return the method *name* with its texts from *prompts* where given; *shape* sets N, D and sampling.

    ``module:class`` names a ``Method`` of the user's own, or a function that makes one. Methods are
    registered as entry points in the group ``tpo.methods``.

    Raises:
        ConfigError: there is no such method, or a value is out of its range.
    """
    given = f"--method {name}"
    builder: Builder = load(METHODS, name, given, own="MODULE:CLASS")
    texts = {} if prompts is None else {"prompts": prompts}
    wanted = f"{given}: it must be a Method, or a function that makes one (see {MIGRATION} for a Recipe)"
    try:
        method = builder(**texts, **shape)
    except TypeError as error:
        raise ConfigError(f"{wanted}: {error}") from error
    if not isinstance(method, Method):
        raise ConfigError(f"{wanted}; got {method!r:.200}")
    return method
