"""Cells of a sweep: every method with every N, D, reward and seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

from tpo.config import Settings, make_method, reward_identity
from tpo.errors import ConfigError
from tpo.experiments.cells import Cell, method_label, slug
from tpo.methods.method import Method
from tpo.types import Query, user

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Axes:
    """Values of a sweep's axes, each value once.

    *pool* is not an axis: it is the number of first samples drawn for the curve of best-of-n, so that the
    curve extends to the cost of methods with iterations.
    """

    methods: tuple[str, ...]
    samples: tuple[int, ...]
    iterations: tuple[int, ...]
    rewards: tuple[str, ...]
    seeds: tuple[int, ...]
    pool: int | None = None

    def __post_init__(self) -> None:
        _require_unique("--method", self.methods)
        _require_unique("--sample-size", self.samples)
        _require_unique("--max-iterations", self.iterations)
        _require_unique("--reward", self.rewards)
        _require_unique("--seed", self.seeds)
        _require_at_least("--sample-size", self.samples, 1)
        _require_at_least("--max-iterations", self.iterations, 0)
        _require_at_least("--pool", () if self.pool is None else (self.pool,), 1)


def sweep_cells(settings: Settings, axes: Axes) -> tuple[Cell, ...]:
    """Return every cell of *axes* once, grouped by reward; other settings are those of *settings*.

    A method without iterations, best-of-N, has one cell for all D. Cells of the pool come last.

    Raises:
        ConfigError: a method is unknown, or two cells are the same.
    """
    cells: dict[str, tuple[str, Cell]] = {}
    own = tuple(_product(settings, axes))
    pool_axes = _pool_axes(settings, axes, [cell.method for _, cell in own])
    for name, cell in (*own, *_product(settings, pool_axes)):
        other_name, other = cells.setdefault(cell.folder, (name, cell))
        if other_name != name or other.method.describe() != cell.method.describe():
            raise ConfigError(
                f"--method {other_name},{name}: both name the run {cell.folder}; name each method once"
            )
    return tuple(cell for _, cell in cells.values())


def _reward_name(settings: Settings) -> str:
    """Return the name of the reward in *settings*, which does not depend on its server's address."""
    identity = reward_identity(settings)
    return str(identity["names"][0] if isinstance(identity, dict) else identity)


def _product(settings: Settings, axes: Axes | None) -> Iterator[tuple[str, Cell]]:
    if axes is None:
        return
    every = product(axes.rewards, axes.methods, axes.iterations, axes.samples, axes.seeds)
    for reward, name, depth, samples, seed in every:
        own = replace(
            settings,
            method=name,
            sample_size=samples,
            max_iterations=depth,
            reward=(reward,),
            seed=seed,
        )
        method = make_method(own)
        folder = f"{slug(method_label(method).lower())}-seed{seed}-{slug(_reward_name(own))}"
        yield name, Cell(own, method, seed, reward, folder)


def _pool_axes(settings: Settings, axes: Axes, methods: Sequence[Method]) -> Axes | None:
    """Return the axes of best-of-N alone, for each first prompt of *methods*; None without a pool."""
    if axes.pool is None:
        return None
    query = Query("", (user("x"),))
    papers = [method.first_prompt(query) != query.messages for method in methods]
    if any(papers):
        behind_system_text = make_method(replace(settings, method="paper-bon")).first_prompt(query)
        papers = [method.first_prompt(query) == behind_system_text for method in methods]
    names = (*(["bon"] if not all(papers) else []), *(["paper-bon"] if any(papers) else []))
    return replace(axes, methods=names, samples=(axes.pool,), iterations=(0,), pool=None)


def _require_unique(option: str, values: Sequence[T]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ConfigError(f"{option}: {value} is given twice; give each value once")
    if not values:
        raise ConfigError(f"{option} is empty; give at least one value")


def _require_at_least(option: str, values: Sequence[int], minimum: int) -> None:
    for value in values:
        if value < minimum:
            raise ConfigError(f"{option}: {value} is below the minimum, {minimum}")
