"""Entry points: kinds of models, methods, their rules and benchmarks, of this package and of others.

Built-in ones are registered like those of other packages, in pyproject.toml. What an entry point names is
imported when it is used.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tpo.errors import ConfigError, TpoError
from tpo.user_objects import load_object

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

POLICIES = "tpo.policies"
REWARDS = "tpo.rewards"
METHODS = "tpo.methods"
STOPPING = "tpo.stopping"
SELECTION = "tpo.selection"
BENCHMARKS = "tpo.benchmarks"
DEFAULTS = {POLICIES: "tiny", REWARDS: "tiny", METHODS: "tpo", SELECTION: "reward"}
"""The entry that lists name first."""


def names(group: str) -> list[str]:
    """Return the names of the entry points of *group*, the default first."""
    first = DEFAULTS.get(group)
    return sorted(registered(group), key=lambda name: (name != first, name))


def load(group: str, name: str, given: str, own: str = "MODULE:OBJECT") -> Any:
    """Import the entry point *name* of *group*, or the user's own object ``module:object``.

    *given* is what the user wrote, for the error; *own* is how an object of one's own is named.

    Raises:
        ConfigError: there is neither, or its module fails as it is imported.
    """
    found = registered(group).get(name, [])
    if len(found) > 1:
        packages = " and ".join(sorted(_package(point) for point in found))
        raise ConfigError(f"{given}: {name} is registered by {packages} ({group}); uninstall one of them")
    if not found and ":" not in name:
        raise ConfigError(f"{given}: unknown; there are {', '.join(names(group))}, and {own}")
    if not found:
        return load_object(name, given)
    try:
        return found[0].load()
    except TpoError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{given}: importing {found[0].value} of the package {_package(found[0])} failed with"
            f" {type(error).__name__}: {error}"
        ) from error


def registered(group: str) -> Mapping[str, list[EntryPoint]]:
    """Return the entry points of *group* by name; several under one name clash when it is used.

    Raises:
        ConfigError: there are none, not even ours.
    """
    found = _installed(tuple(sys.path)).get(group)
    if not found:
        raise ConfigError(f"no {group} are registered: tpo is not installed completely; install it again")
    return found


@lru_cache
def _installed(path: tuple[str, ...]) -> Mapping[str, Mapping[str, list[EntryPoint]]]:
    """Return our groups' entry points by group and name; read again when *path*, where they are, changes."""
    from importlib.metadata import entry_points

    del path
    points = entry_points()  # once for all groups: it reads the metadata of every installed package
    found: dict[str, dict[str, list[EntryPoint]]] = {}
    for group in (POLICIES, REWARDS, METHODS, STOPPING, SELECTION, BENCHMARKS):
        by_name = found.setdefault(group, {})
        for point in points.select(group=group):
            same = by_name.setdefault(point.name, [])
            if all(point.value != other.value for other in same):
                same.append(point)
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
