"""Plan of a sweep: everything that decides its results, and the paths of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tpo.config import (
    Settings,
    data_options,
    policy_identity,
    policy_spec,
    reward_columns,
    reward_identity,
    weights_of,
)
from tpo.config.rules import stopping_rules
from tpo.config.specs import require_held_out
from tpo.data import data_digest, load_queries
from tpo.data.sources import Spec
from tpo.errors import ConfigError, MissingExtra
from tpo.experiments.cells import Cell, slug
from tpo.experiments.plan import ExperimentPlan, held_out_digest
from tpo.experiments.sweep.costs import DEFAULT_COSTS, SECONDS, CostMeasure
from tpo.experiments.sweep.shared_calls import SharedSampling, shared_models
from tpo.methods.fallback import BestOfNFallback
from tpo.methods.method import Method
from tpo.methods.stopping import SampleRule
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.runs.inputs import QueryInput
from tpo.runs.plan import RunPlan
from tpo.store.journal import request_hash
from tpo.types import Query

SHARED, FIGURES = "shared", "figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan(ExperimentPlan):
    """Everything that decides a sweep's results, and the paths of its files.

    Attributes:
        source: name of the data set, as given.
        queries: all queries, in memory because each cell runs all of them.
        digest: digest of the data.
        check_reward: name of the held-out reward, which guides no run; None: no held-out reward.
        shares: make calls that several cells have in common once (:mod:`tpo.experiments.sweep.shared_calls`).
        figures: write figures.
        costs: what methods are compared at.
        budgets: fixed budgets, in the first of *costs*, at which all methods are compared.
    """

    source: str
    queries: tuple[Query, ...]
    digest: str
    check_reward: str | None = None
    shares: bool = True
    figures: bool = True
    costs: tuple[CostMeasure, ...] = DEFAULT_COSTS
    budgets: tuple[float, ...] = ()
    _weights: dict[str, dict[str, str | None]] = field(default_factory=dict, init=False, repr=False)
    """Cached digests of weights by reward: hashing gigabytes once is enough."""

    @property
    def rewards(self) -> tuple[str, ...]:
        """The guiding rewards, in order."""
        return tuple(dict.fromkeys(cell.reward for cell in self.cells))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in order."""
        return tuple(dict.fromkeys(cell.seed for cell in self.cells))

    @property
    def methods(self) -> tuple[Method, ...]:
        """Every method with every shape, once."""
        return tuple({cell.label: cell.method for cell in self.cells}.values())

    def shared_folder(self) -> Path:
        """Return the folder of shared calls, which is specific to the policy and the data."""
        settings = self.settings
        weights = {key: value for key, value in self._digests(self.cells[0]).items() if "policy" in key}
        identity = request_hash(policy_identity(settings), settings.policy_fields, weights, self.digest)
        return self.out / SHARED / identity[:12]

    def reward_key(self, cell: Cell) -> str:
        """Return a part of a file name that identifies the reward of *cell* with its weights."""
        weights = {key: value for key, value in self._digests(cell).items() if "reward" in key}
        identity = request_hash(reward_identity(cell.settings), weights)
        return f"{slug(cell.reward)[:40]}-{identity[:8]}"

    def held_out_columns(self) -> tuple[str, ...]:
        """Return the columns of the data that the held-out reward reads."""
        found = {} if self.check_reward is None else self._columns(self.settings)
        return tuple(sorted(found.get(self.check_reward or "", ())))

    def held_out_file(self) -> Path:
        """Return the file of held-out scores, which is specific to the held-out reward."""
        digest = held_out_digest(self.settings, self.check_reward)
        return self.out / SHARED / f"held-out-{digest[:12]}.jsonl"

    def run_plan(self, cell: Cell) -> RunPlan:
        """Return the run of *cell*: the same as with ``tpo run`` and the same options."""
        return RunPlan(
            settings=cell.settings,
            method=cell.method,
            data=QueryInput(self.source, self.queries, self.digest, len(self.queries)),
            path=self.path(cell),
            fresh=self.fresh,
            columns=self._columns(cell.settings),
            wrap=partial(self._shared, cell) if self.shares else None,
            weights=self._digests(cell),
            clock=self.clock,
        )

    def check(self) -> None:
        """Raise, before any call, the errors that would otherwise occur at the end.

        Raises:
            ConfigError: the held-out reward guides a run, seconds of runs that share calls or FLOPs of
                several models are compared, a fallback adds to the first samples, or answers are selected
                otherwise than by reward.
            MissingExtra: matplotlib is not installed.
        """
        require_held_out(self.check_reward, (*self.rewards, *self.settings.gate))
        require_own_time(self.costs, shares=self.shares)
        require_one_model(self.costs, self.settings)
        require_own_first_samples(self.settings)
        if self.settings.select != "reward":
            raise ConfigError(
                f"select = {self.settings.select}: runs are compared by the highest reward; leave it out here"
                " and use it with tpo run"
            )
        if not self.figures:
            return
        try:
            import matplotlib as mpl  # noqa: F401 - figures need it at the end
        except ImportError as error:
            raise MissingExtra("matplotlib", "report", "tpo sweep without --no-figures") from error

    def _shared(
        self, cell: Cell, policy: Policy, reward: Reward
    ) -> AbstractAsyncContextManager[tuple[Policy, Reward]]:
        """Return the models of *cell* behind the journals of shared calls."""
        rules = stopping_rules(cell.settings, cell.method)
        # A rule that draws in rounds decides how many samples there are: a larger draw would undo that.
        methods = () if any(isinstance(rule, SampleRule) for rule in rules) else self.methods
        sampling = SharedSampling(methods, {query.id: query for query in self.queries}, cell.seed)
        return shared_models(self.shared_folder(), self.reward_key(cell), policy, reward, sampling)

    def _columns(self, settings: Settings) -> dict[str, Mapping[str, bool]]:
        """Return the columns of the data that the rewards of *settings* and the held-out reward read."""
        return reward_columns(replace(settings, check_reward=self.check_reward))

    def _digests(self, cell: Cell) -> dict[str, str | None]:
        if cell.reward not in self._weights:
            self._weights[cell.reward] = weights_of(cell.settings)
        return self._weights[cell.reward]


def load_data(source: Spec, settings: Settings) -> tuple[tuple[Query, ...], str]:
    """Return the queries of *source* and its digest.

    Raises:
        DataError: *source* cannot be read, or a row is wrong.
    """
    queries = tuple(load_queries(source, data_options(settings)))
    return queries, data_digest(source, data_options(settings))


def require_own_time(costs: Sequence[CostMeasure], *, shares: bool) -> None:
    """Require that runs share no calls where seconds are compared.

    Raises:
        ConfigError: they do.
    """
    if shares and SECONDS in costs:
        raise ConfigError("--cost seconds needs --no-share: a shared call takes time in one run alone")


def require_one_model(costs: Sequence[CostMeasure], settings: Settings) -> None:
    """Require that one model writes all tokens where FLOPs are compared.

    Raises:
        ConfigError: several do, and their FLOPs would be counted at the parameters of one.
    """
    several = settings.critic or settings.editor or len(policy_spec(settings.policy).parts) > 1
    if several and any(measure.name == "flops" for measure in costs):
        raise ConfigError(
            "--cost flops counts every token at --parameters, those of one policy: with --critic, --editor or"
            " a panel use another --cost"
        )


def require_own_first_samples(settings: Settings) -> None:
    """Require that all first samples are drawn before the first step.

    Raises:
        ConfigError: a fallback adds to them, so that a run does not contain the shallower ones.
    """
    if settings.fallback == BestOfNFallback.name:
        raise ConfigError(
            f"--fallback {settings.fallback} adds to the first samples after a step, and runs of fewer steps,"
            " which are read from the same run, would have them too; leave it out here and use it in tpo run"
        )
