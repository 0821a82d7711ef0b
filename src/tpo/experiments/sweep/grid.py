"""The cells of a sweep: every method with every N, D, reward and seed, each an ordinary run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

from tpo.config import Settings, make_recipe, reward_identity
from tpo.errors import ConfigError
from tpo.methods.method import Method

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Axes:
    """What is crossed with what; each value once.

    *pool* stands beside the grid: so many first samples are drawn for the curve of best-of-n, so that it
    reaches as far as methods with iterations spend.
    """

    methods: tuple[str, ...]
    samples: tuple[int, ...]
    iterations: tuple[int, ...]
    rewards: tuple[str, ...]
    seeds: tuple[int, ...]
    pool: int | None = None

    def __post_init__(self) -> None:
        _require_once("--method", self.methods)
        _require_once("--sample-size", self.samples)
        _require_once("--max-iterations", self.iterations)
        _require_once("--reward", self.rewards)
        _require_once("--seed", self.seeds)
        _require_least("--sample-size", self.samples, 1)
        _require_least("--max-iterations", self.iterations, 0)
        _require_least("--pool", () if self.pool is None else (self.pool,), 1)


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One run of a sweep: *reward* is the name on the command line, *settings* are its own, whole."""

    settings: Settings
    recipe: Method
    reward: str
    seed: int

    @property
    def label(self) -> str:
        """What it shares with the cells of other seeds: ``tpo D2-N5``."""
        return f"{self.recipe.name} D{self.recipe.max_iterations}-N{self.recipe.sample_size}"

    @property
    def folder(self) -> str:
        """Of its run: the same for the same cell, whatever else is in the sweep."""
        return f"{slug(self.label.lower())}-seed{self.seed}-{slug(reward_name(self.settings))}"


def make_cells(settings: Settings, axes: Axes) -> tuple[Cell, ...]:
    """Every cell of *axes* once, those of a reward together; other values are those of *settings*.

    A method without iterations, best-of-N, has one cell for all D; that of the pool comes last.

    Raises:
        ConfigError: a method is unknown, or two cells would be alike.
    """
    cells: dict[str, tuple[str, Cell]] = {}
    for method, cell in (*_crossed(settings, axes), *_crossed(settings, _pools(axes))):
        there = cells.setdefault(cell.folder, (method, cell))
        if there[0] != method or there[1].recipe.describe() != cell.recipe.describe():
            raise ConfigError(
                f"--method {there[0]},{method}: both would be run as {cell.folder}; name each once"
            )
    return tuple(cell for _, cell in cells.values())


def reward_name(settings: Settings) -> str:
    """How the one reward of *settings* is called wherever its server stands."""
    identity = reward_identity(settings)
    return str(identity["names"][0] if isinstance(identity, dict) else identity)


def slug(name: str) -> str:
    """*name* as a part of a file's name; a few digits of its hash where that loses something."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[-48:].strip("-.")
    lost = plain != name and not re.fullmatch(r"\S+ D\d+-N\d+", name, re.IGNORECASE)
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{plain}-{digest}".strip("-") if lost else plain


def _crossed(settings: Settings, axes: Axes | None) -> Iterator[tuple[str, Cell]]:
    if axes is None:
        return
    every = product(axes.rewards, axes.methods, axes.iterations, axes.samples, axes.seeds)
    for reward, method, depth, samples, seed in every:
        own = replace(
            settings,
            method=method,
            sample_size=samples,
            max_iterations=depth,
            reward=(reward,),
            seed=seed,
        )
        yield method, Cell(own, make_recipe(own), reward, seed)


def _pools(axes: Axes) -> Axes | None:
    """The grid of best-of-n alone, by each layout that first samples are asked in; None without a pool."""
    if axes.pool is None:
        return None
    papers = [method.startswith("paper") for method in axes.methods]
    methods = (*(["bon"] if not all(papers) else []), *(["paper-bon"] if any(papers) else []))
    return replace(axes, methods=methods, samples=(axes.pool,), iterations=(0,), pool=None)


def _require_once(option: str, values: Sequence[T]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ConfigError(
                f"{option}: {value} is named twice; name each once, since its cells are the same"
            )
    if not values:
        raise ConfigError(f"{option} is empty; name at least one")


def _require_least(option: str, values: Sequence[int], least: int) -> None:
    for value in values:
        if value < least:
            raise ConfigError(f"{option}: {value} is below {least}, the least there can be")
