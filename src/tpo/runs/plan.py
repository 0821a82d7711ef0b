"""RunPlan: the only way from settings to a run directory with its results."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

from tpo.config import (
    Settings,
    check_identity,
    fallback_of,
    make_method,
    name_model,
    policy_identity,
    reward_columns,
    reward_identity,
    role_identities,
    selection_identity,
    selection_of,
    stopping_identity,
    stopping_rules,
    weights_of,
)
from tpo.errors import ConfigError, StoreError, StoreMismatch, TpoError
from tpo.events import Listener
from tpo.methods.method import Method
from tpo.methods.selection import Selection
from tpo.methods.stopping import StoppingRule
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.rewards.calibration import Scales, scales_missing
from tpo.runs.default_directory import run_name
from tpo.runs.fingerprint import fingerprint, measured, scales_in
from tpo.runs.inputs import RunInput, missing_column
from tpo.runs.models import Models, Relay, load_models, no_models, resolve_models
from tpo.runs.retries import Retries
from tpo.runs.runner import run_queries
from tpo.runs.shards import Shard, ShardInput, require_same_count
from tpo.runs.summary import Summary
from tpo.store import RunDirectory, is_complete, read_run, recorded_ids
from tpo.store.runfile import NAME as RUN_FILE
from tpo.store.shards import FOLDER as SHARDS
from tpo.synchronous import run_blocking
from tpo.types import Query, Trajectory

RUNS = Path("runs")
"""Folder of the default run directories."""

Wrap = Callable[[Policy, Reward], AbstractAsyncContextManager[tuple[Policy, Reward]]]
"""Puts something in front of the models while a run uses them, such as journals that runs share."""


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """All that decides a run, resolved; ``resolve`` makes one from settings as the command line does.

    Attributes:
        settings: every option; the model of a server is named.
        method: the method.
        data: the queries.
        path: the run directory.
        fresh: delete an existing run first.
        load: loads the models, which announce retries to the relay; None: those that the settings name.
        wrap: puts something in front of the models while the run uses them.
        identity: further keys of the fingerprint; they replace others, and None leaves a key out.
        weights: digests of the weights of models in this process; None computes them.
        columns: columns of the data that each reward reads, by its name; None: as the settings' rewards say.
        configuration: further keys of the configuration in ``run.json``.
        notices: what the user should be told of the choice of the directory.
        clock: seconds since the epoch; None: :class:`tpo.clock.SteadyClock`.
    """

    settings: Settings
    method: Method
    data: RunInput
    path: Path
    fresh: bool = False
    load: Callable[[Relay], Models] | None = None
    wrap: Wrap | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str | None] | None = None
    columns: Mapping[str, Mapping[str, bool]] | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    clock: Callable[[], float] | None = None

    @classmethod
    async def resolve(
        cls, settings: Settings, data: RunInput, *, method: Method | None = None, **options: Any
    ) -> Self:
        """Return the plan that *settings* make over *data*; a server is asked for its model's name.

        Without ``settings.out`` the directory is named after the options
        (``tpo.runs.default_directory``). *options* are further attributes.

        Raises:
            ConfigError: the method is unknown, the shard is none, or options do not go together.
            PolicyError: a server does not say which model it serves.
        """
        if settings.keep_parts and settings.ray is None:
            raise ConfigError("--keep-parts is for runs with --ray")
        if settings.keep_parts and settings.shard is not None:
            raise ConfigError("--keep-parts does not go with --shard: the merge needs one file of each shard")
        settings = await name_model(settings, os.environ)
        method = method if method is not None else make_method(settings)
        plan = cls(settings=settings, method=method, data=data, path=settings.out or RUNS, **options)
        plan = plan if settings.out is not None else plan._in_default_directory()
        return plan if settings.shard is None else plan.sharded(Shard.parse(settings.shard))

    def sharded(self, shard: Shard) -> Self:
        """Return the plan of *shard* of this run, in a directory of its own."""
        path = self.path / SHARDS / shard.directory
        return replace(self, data=ShardInput(self.data, shard), path=path)

    @cached_property
    def queries(self) -> Iterable[Query]:
        """The queries; rows without an id keep those that they have in the run that is resumed.

        Raises:
            StoreError: the run cannot be read.
        """
        known = None if self.fresh else recorded_ids(self.path, self.data.digest)
        return self.data.queries if known is None else self.data.identified(known)

    def pinned(self) -> Self:
        """Return the plan with the digests of the weights computed, for other processes."""
        return replace(self, weights=self._weights)

    def is_complete(self) -> bool:
        """Return whether every query is finished, so that no model needs to be loaded.

        Raises:
            ConfigError: a reward needs a column that no row has.
            StoreMismatch: the directory holds a run of another configuration.
            TpoError: it does, and a model of this one does not exist.
            DataError: a row is wrong.
        """
        total = self.data.total
        if total:
            self._require_columns()
        if self.fresh or not (self.path / RUN_FILE).exists():
            return total == 0
        queries = self.queries if total is not None else None
        try:
            # Without the scales, which are measured with the models: a run that is complete scores nothing.
            return is_complete(self.path, self.fingerprint(), queries, self._read_columns)
        except StoreMismatch as mismatch:
            self._require_models(mismatch)
            raise

    def load_models(self, *, complete: bool | None = None) -> Models:
        """Load the models; stand-ins if the run is *complete* (None: find out). Blocks: not for event loops.

        Raises:
            TpoError: a model cannot be loaded, or as ``is_complete``.
        """
        if self.is_complete() if complete is None else complete:
            return no_models()
        return load_models(self.settings, Relay()) if self.load is None else self.load(Relay())

    @asynccontextmanager
    async def opened(self, models: Models) -> AsyncIterator[OpenRun]:
        """Open the directory, or resume the run in it, and close it at the end of the block.

        Raises:
            ConfigError: a stopping rule or the selection is wrong; no directory is made.
            StoreError: it is in use, of another configuration, or unusable.
            RewardError: the scales of an ensemble cannot be measured, or the judge of the selection does not
                answer; no directory is made.
        """
        if isinstance(self.data, ShardInput):
            require_same_count(self.path, self.data.shard)
        _ = self.queries  # before this invocation is recorded
        rules = stopping_rules(self.settings, self.method, self.identity)
        selection = selection_of(self.settings, models.reward, os.environ, models.events)
        judge = getattr(selection, "judge", None)
        check, close = (getattr(judge, name, None) for name in ("check", "aclose"))
        async with AsyncExitStack() as stack:
            if close is not None:
                stack.push_async_callback(close)
            if check is not None and models.are_called:
                await check()
            scales = await self._scales(models.reward)
            directory = RunDirectory.open(
                self.path,
                configuration=self._configuration(),
                fingerprint=self.fingerprint(scales),
                columns=self._read_columns,
                fresh=self.fresh,
                clock=self.clock,
            )
            await stack.enter_async_context(directory)
            yield OpenRun(self, models, directory, rules, selection)

    async def execute(self, models: Models, listener: Listener | None = None) -> Summary:
        """Run the unfinished queries with *models*, which stay open.

        Raises:
            TpoError: a fatal one; what is finished is kept.
        """
        async with self.opened(models) as opened:
            return await opened.execute(*([listener] if listener is not None else []))

    async def run(self, models: Models, listener: Listener | None = None) -> Summary:
        """Check *models*, ``execute``, and close them."""
        async with models.ready():
            return await self.execute(models, listener)

    def fingerprint(self, scales: Scales | None = None) -> dict[str, Any]:
        """Return what may not change between invocations; *scales* are those of an ensemble."""
        settings = self.settings
        models = {
            "column": settings.column,
            "policy": policy_identity(settings),
            "policy_extra": settings.policy_fields,
            "reward": self._reward_identity,
            **role_identities(settings),
            **check_identity(settings),
            **selection_identity(settings, self._recorded.get("select_judge")),
            **stopping_identity(settings),
            **({"parts": True} if settings.keep_parts else {}),
            **self.identity,
        }
        models = {key: value for key, value in models.items() if self.identity.get(key, "") is not None}
        known = measured(self._weights, scales)
        return fingerprint(self.method, seed=settings.seed, data=self.data.digest, **models, **known)

    @property
    def _recorded(self) -> Mapping[str, Any]:
        """Fingerprint of the run that is resumed; empty without one."""
        return read_run(self.path).fingerprint if not self.fresh and (self.path / RUN_FILE).exists() else {}

    @cached_property
    def _reward_identity(self) -> Any:
        return self.identity["reward"] if "reward" in self.identity else reward_identity(self.settings)

    @cached_property
    def _columns(self) -> Mapping[str, Mapping[str, bool]]:
        return reward_columns(self.settings) if self.columns is None else self.columns

    @property
    def _read_columns(self) -> list[str]:
        return sorted({column for columns in self._columns.values() for column in columns})

    def _require_columns(self) -> None:
        """Refuse data without a column that a reward cannot do without.

        Raises:
            ConfigError: no row has it.
        """
        whole = self.data.whole if isinstance(self.data, ShardInput) else self.data
        if missing := missing_column(self._columns, whole.queries, whole.source):
            raise ConfigError(missing)

    @cached_property
    def _weights(self) -> Mapping[str, str | None]:
        return weights_of(self.settings) if self.weights is None else self.weights

    def _configuration(self) -> dict[str, Any]:
        noted = {"data": self.data.source, "queries": self.data.total, "out": str(self.path)}
        return self.settings.to_json() | noted | dict(self.configuration)

    def _require_models(self, mismatch: StoreMismatch) -> None:
        """Report a model that does not exist before the *mismatch* that its name causes."""
        if self.load is not None:
            return
        try:
            run_blocking(resolve_models(self.settings))
        except TpoError as error:
            if error.fatal:
                raise error from mismatch

    async def _scales(self, reward: Reward) -> Scales | None:
        """The scales of an ensemble: of its file, of the run that is resumed, or measured now."""
        from tpo.rewards.ensemble import Ensemble

        if not isinstance(reward, Ensemble):
            return None
        reward.keep(scales_in(self._recorded))
        if self.settings.shard is not None and reward.needs_measuring:
            raise scales_missing("--shard")
        return await reward.scales()

    def _in_default_directory(self) -> Self:
        """The plan with its default directory, or with the one of an earlier version that holds this run."""
        source = self.data.source
        named, policy = partial(run_name, self.settings, self.method, source), self.identity.get("policy")
        path = RUNS / named(policy=policy, reward=self._reward_identity)
        earlier = replace(self, path=RUNS / named(policy=policy))
        if (path / RUN_FILE).exists() or not (earlier.path / RUN_FILE).exists():
            return replace(self, path=path)
        found = f"{earlier.path} has the default name of earlier versions, without the reward"
        if self.fresh:
            return replace(self, path=path, notices=(f"{found}: it is left as it is",))
        try:
            is_complete(earlier.path, earlier.fingerprint(), None)
        except StoreError:
            return replace(self, path=path, notices=(f"{found}, and holds another run: it is left as it is",))
        return replace(earlier, notices=(f"{found}, and holds this run: it is resumed there",))


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run whose directory is open."""

    plan: RunPlan
    models: Models
    directory: RunDirectory
    rules: tuple[StoppingRule, ...]
    selection: Selection

    async def execute(
        self, *listeners: Listener, earlier: Callable[[Trajectory], None] | None = None
    ) -> Summary:
        """Run the unfinished queries; *listeners* receive every event. Retries are counted for the record.

        *earlier* receives the trajectories that earlier invocations finished, unless a large run has nothing
        to do.

        Raises:
            TpoError: a fatal one; what is finished is kept.
        """
        plan, settings, models, retries = self.plan, self.plan.settings, self.models, Retries()
        unwrapped = nullcontext((models.policy, models.scorer))
        wrapped = unwrapped if plan.wrap is None else plan.wrap(models.policy, models.scorer)
        with models.events.forwarding(retries, *listeners):
            async with wrapped as (policy, reward):
                return await run_queries(
                    plan.queries,
                    policy,
                    reward,
                    plan.method,
                    self.directory,
                    seed=settings.seed,
                    stopping=self.rules,
                    fallback=fallback_of(settings),
                    selection=self.selection,
                    concurrency=settings.concurrency,
                    sequences=settings.sequences,
                    total=plan.data.total,
                    listener=models.events,
                    retries=retries,
                    earlier=earlier,
                )
