"""The methods by name. Best-of-N is a recipe of depth 0, revision another wording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tpo.errors import ConfigError
from tpo.methods.conversation import Conversation
from tpo.methods.fused import Fused
from tpo.methods.independent import Independent
from tpo.methods.recipe import Recipe
from tpo.methods.textgrad.recipe import textgrad, textgrad_revision
from tpo.methods.wording import load_wording
from tpo.naming import load_object

Builder = Callable[..., Recipe]


def tpo(prompts: Path | None = None, **shape: Any) -> Recipe:
    """The paper's method as one growing conversation, for servers with prefix caching."""
    return Conversation(name="tpo", wording=load_wording("conversation", prompts), **shape)


def paper(prompts: Path | None = None, **shape: Any) -> Recipe:
    """The paper's method in the paper's layout: independent calls with system texts."""
    return Independent(name="paper", wording=load_wording("independent", prompts), **shape)


def revision(prompts: Path | None = None, **shape: Any) -> Recipe:
    """The paper's baseline that never sees the rejected response."""
    wording = load_wording("conversation", prompts)
    return Conversation(name="revision", shows_rejected=False, wording=wording, **shape)


def paper_revision(prompts: Path | None = None, **shape: Any) -> Recipe:
    """Revision in the paper's layout."""
    wording = load_wording("independent", prompts)
    return Independent(name="paper-revision", shows_rejected=False, wording=wording, **shape)


def fused(prompts: Path | None = None, **shape: Any) -> Recipe:
    """``tpo`` with loss and gradient in one call: a round trip less an iteration."""
    return Fused(name="fused", wording=load_wording("fused", prompts), **shape)


def bon(prompts: Path | None = None, **shape: Any) -> Recipe:
    """Best-of-N: depth 0, so only the first samples are drawn."""
    wording = load_wording("conversation", prompts)
    return Conversation(name="bon", wording=wording, **(shape | {"max_iterations": 0}))


def paper_bon(prompts: Path | None = None, **shape: Any) -> Recipe:
    """Best-of-N behind the paper's system text."""
    wording = load_wording("independent", prompts)
    return Independent(name="paper-bon", wording=wording, **(shape | {"max_iterations": 0}))


RECIPES: Mapping[str, Builder] = MappingProxyType(
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


def build_recipe(name: str, prompts: Path | None = None, **shape: Any) -> Recipe:
    """The method *name* with its texts from *prompts* where given, and N, D and sampling values from *shape*.

    ``module:class`` names a :class:`Recipe` of the user's own, or a function that makes one.

    Raises:
        ConfigError: there is no such method, or a value is out of its range.
    """
    if name in RECIPES:
        return RECIPES[name](prompts, **shape)
    if ":" not in name:
        raise ConfigError(f"--method {name}: unknown; there are {', '.join(RECIPES)}, and MODULE:CLASS")
    return _of_the_users_own(name, prompts, shape)


def _of_the_users_own(name: str, prompts: Path | None, shape: dict[str, Any]) -> Recipe:
    given = f"--method {name}"
    builder = load_object(name, given)
    texts = {} if prompts is None else {"prompts": prompts}
    try:
        recipe = builder(**texts, **shape)
    except TypeError as error:
        raise ConfigError(f"{given}: it must be a Recipe, or a function that makes one: {error}") from error
    if not isinstance(recipe, Recipe):
        raise ConfigError(f"{given}: it must be a Recipe, or a function that makes one; got {recipe!r:.200}")
    return recipe
