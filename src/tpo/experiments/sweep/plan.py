"""What a sweep is made from, and where each of its parts lies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tpo.config import Settings, data_options, policy_identity, reward_identity, weights_of
from tpo.data import data_digest, load_queries
from tpo.errors import ConfigError, MissingExtra
from tpo.experiments.sweep.grid import Cell, slug
from tpo.experiments.sweep.sharing import Demand, shared
from tpo.methods.method import Method
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.runs.inputs import QueryInput
from tpo.runs.plan import RunPlan
from tpo.store.journal import request_hash
from tpo.types import Query

RUNS, SHARED, FIGURES = "runs", "shared", "figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that decides a sweep's results, and where they go.

    Attributes:
        settings: what all cells have in common.
        source: the data set's name, as it was given.
        queries: all of them; a sweep asks each many times, so they are held in memory.
        digest: of the data.
        cells: the runs.
        out: the sweep's directory.
        check_reward: the reward that guides nothing; None: there is none.
        shares: whether calls that cells have in common are made once (:mod:`tpo.experiments.sweep.sharing`).
        fresh: whether what is there is thrown away.
        figures: whether figures are drawn.
        page: whether ``report.html`` of the runs is written.
        clock: seconds since the epoch.
    """

    settings: Settings
    source: str
    queries: tuple[Query, ...]
    digest: str
    cells: tuple[Cell, ...]
    out: Path
    check_reward: str | None = None
    shares: bool = True
    fresh: bool = False
    figures: bool = True
    page: bool = True
    clock: Callable[[], float] = time.time
    _weights: dict[str, dict[str, str | None]] = field(default_factory=dict, init=False, repr=False)
    """Digests of weights by reward, since reading gigabytes once is enough."""

    @property
    def rewards(self) -> tuple[str, ...]:
        """Those that guide, in their order."""
        return tuple(dict.fromkeys(cell.reward for cell in self.cells))

    @property
    def seeds(self) -> tuple[int, ...]:
        """In their order."""
        return tuple(dict.fromkeys(cell.seed for cell in self.cells))

    @property
    def recipes(self) -> tuple[Method, ...]:
        """Each shape of each method once."""
        return tuple({cell.label: cell.recipe for cell in self.cells}.values())

    def path(self, cell: Cell) -> Path:
        """Of the run of *cell*."""
        return self.out / RUNS / cell.folder

    def shared(self) -> Path:
        """Of the calls in common, for this policy on this data: another's are never answered from."""
        settings = self.settings
        weights = {key: value for key, value in self._digests(self.cells[0]).items() if "policy" in key}
        told = request_hash(policy_identity(settings), settings.policy_extra, weights, self.digest)
        return self.out / SHARED / told[:12]

    def reward_file(self, cell: Cell) -> str:
        """A part of a file's name that tells the reward of *cell*, with its weights, from every other."""
        weights = {key: value for key, value in self._digests(cell).items() if "reward" in key}
        told = request_hash(reward_identity(cell.settings), weights)
        return f"{slug(cell.reward)[:40]}-{told[:8]}"

    def held_out_file(self) -> Path:
        """Where the scores of the reward that guides nothing are kept, apart from any other's."""
        own = replace(self.settings, reward=(self.check_reward,) if self.check_reward else ())
        weights = {key: value for key, value in weights_of(own).items() if "reward" in key}
        told = request_hash(reward_identity(own), weights)
        return self.out / SHARED / f"held-out-{told[:12]}.jsonl"

    def run_plan(self, cell: Cell) -> RunPlan:
        """Return the run of *cell*: the one of ``tpo run`` with the same options."""
        return RunPlan(
            settings=cell.settings,
            recipe=cell.recipe,
            data=QueryInput(self.source, self.queries, self.digest, len(self.queries)),
            path=self.path(cell),
            fresh=self.fresh,
            wrap=partial(self._shared, cell) if self.shares else None,
            weights=self._digests(cell),
            clock=self.clock,
        )

    def _shared(
        self, cell: Cell, policy: Policy, reward: Reward
    ) -> AbstractAsyncContextManager[tuple[Policy, Reward]]:
        """The models of *cell* behind the journals of the calls in common."""
        demand = Demand(self.recipes, {query.id: query for query in self.queries}, cell.seed)
        return shared(self.shared(), self.reward_file(cell), policy, reward, demand)

    def _digests(self, cell: Cell) -> dict[str, str | None]:
        if cell.reward not in self._weights:
            self._weights[cell.reward] = weights_of(cell.settings)
        return self._weights[cell.reward]


def load_data(source: str, settings: Settings) -> tuple[tuple[Query, ...], str]:
    """The queries of *source* and its digest.

    Raises:
        DataError: it cannot be read, or a row is wrong.
    """
    queries = tuple(load_queries(source, data_options(settings)))
    return queries, data_digest(source, data_options(settings))


def check(plan: Plan) -> tuple[Cell, ...]:
    """The cells that models are needed for; refuses, before any call, what would be refused at the end.

    Raises:
        ConfigError: the held-out reward guides.
        MissingExtra: a library is not installed.
        StoreMismatch: a cell's directory holds a run of another configuration.
    """
    require_held_out(plan.check_reward, plan.rewards)
    _require_matplotlib(plan)
    return tuple(cell for cell in plan.cells if not plan.run_plan(cell).is_complete())


def require_held_out(check_reward: str | None, rewards: Sequence[str]) -> None:
    """Refuse a *check_reward* that is among those that guide.

    Raises:
        ConfigError: it is.
    """
    if check_reward in rewards:
        raise ConfigError(
            f"--check-reward {check_reward} is also a --reward: it would check what it guides;"
            " name one that guides nothing"
        )


def _require_matplotlib(plan: Plan) -> None:
    if not plan.figures:
        return
    try:
        import matplotlib as mpl  # noqa: F401 - drawing needs it, at the end
    except ImportError as error:
        raise MissingExtra("matplotlib", "report", "tpo sweep without --no-figures") from error
