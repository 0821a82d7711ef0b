"""Optimizer: run a method for one query and record what came of it."""

from __future__ import annotations

import copy
import logging
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import Any, Self, Unpack

from tpo.clock import SteadyClock
from tpo.errors import ConfigError
from tpo.events import Event, Listener
from tpo.methods.arguments import (
    as_method,
    is_named,
    require_listener,
    require_parts,
    require_picklable,
    require_seed,
)
from tpo.methods.driver import Decisions, Driver
from tpo.methods.fallback import Fallback
from tpo.methods.many import Iteration, events_of, in_order
from tpo.methods.method import Method, Shape
from tpo.methods.named_models import load_policy, load_reward
from tpo.methods.query_value import QueryValue, as_query
from tpo.methods.replay import Replay
from tpo.methods.selection import HighestReward, Selection
from tpo.methods.stopping import Deadline, StoppingRule
from tpo.policies.base import Policy
from tpo.policies.function import PolicyFunction, as_policy
from tpo.rewards.base import Reward
from tpo.rewards.function import RewardFunction, as_reward
from tpo.synchronous import run_blocking, run_in_background
from tpo.types import Trajectory

log = logging.getLogger(__name__)


class Optimizer:
    """Optimize queries with a method; by default TPO (Li et al. 2025, arXiv 2501.12895).

    *policy* and *reward* are names as on the command line, plain functions (see
    ``tpo.policies.function.as_policy`` and ``tpo.rewards.function.as_reward``) or objects. *method*
    is a ``Method``, or a name with its *shape* (``sample_size=8``, ...). Nothing is kept
    between queries, so one optimizer serves any number at once, from any thread. *listener* receives every
    event; one that fails is logged, and never breaks the method. *stopping* rules end a query early,
    *fallback* takes over where the first step brings no readable update, *selection* chooses the answer from
    the pool, and *decisions* keeps what timed rules decided.

    Closing it, as ``async with`` and ``with`` do, closes the models that it loaded by name.

    Raises:
        ConfigError: the policy, the reward, the method or an option is none.
        MissingExtra, PolicyRefused, RewardRefused: a model cannot be loaded.
    """

    def __init__(
        self,
        policy: Policy | PolicyFunction | str | Sequence[str],
        reward: Reward | RewardFunction | str | Sequence[str],
        method: Method | str | None = None,
        *,
        seed: int = 7,
        stopping: Sequence[StoppingRule] = (),
        fallback: Fallback | None = None,
        selection: Selection | None = None,
        decisions: Decisions | None = None,
        listener: Listener | None = None,
        clock: Callable[[], float] | None = None,
        **shape: Unpack[Shape],
    ) -> None:
        self.method = as_method(method, shape)
        require_seed(seed)
        require_listener(listener)
        require_parts(stopping, fallback, selection)
        self._given = policy, reward
        self.policy = load_policy(policy) if is_named(policy) else as_policy(policy)
        self.reward = load_reward(reward) if is_named(reward) else as_reward(reward)
        self._is_closed = False
        self.streams = False
        self.seed = seed
        self.stopping = tuple(stopping)
        self.fallback = fallback
        self.selection = selection if selection is not None else HighestReward()
        self.decisions = decisions
        self.now = clock or SteadyClock()
        self._listeners = () if listener is None else (listener,)

    async def optimize(
        self,
        query: QueryValue,
        *,
        id: str | None = None,  # noqa: A002 - as the query's field is named
        seed: int | None = None,
        listener: Listener | None = None,
        deadline: float | None = None,
        earlier: Trajectory | None = None,
    ) -> Trajectory:
        """Return the trajectory of *query*, from its first samples to its answer.

        A query that fails comes back as a failed trajectory, with its reason and its pool so far.

        Args:
            query: a text, a conversation that ends with a user's turn, or a ``Query``.
            id: its id; else a digest of its content, so that equal queries draw with equal seeds.
            seed: seed of this query instead of the optimizer's.
            listener: also receives the events of this query.
            deadline: seconds after which the best response so far is the answer.
            earlier: a trajectory of the same query, whose calls are not made again.

        Raises:
            DataError, ConfigError: *query* or an option is no such thing; nothing was sampled.
            TpoError: only a fatal one, which every other query would meet as well.
        """
        at = self._for_call(seed, listener, deadline)
        return await Driver(at, as_query(query, id), Replay(earlier)).run()

    def run(
        self,
        query: QueryValue,
        *,
        id: str | None = None,  # noqa: A002 - as the query's field is named
        seed: int | None = None,
        listener: Listener | None = None,
        deadline: float | None = None,
    ) -> Trajectory:
        """Do the same as ``optimize`` without await; works inside a running loop, as in a notebook.

        Calls of all threads share one event loop in the background.
        """
        return run_blocking(self.optimize(query, id=id, seed=seed, listener=listener, deadline=deadline))

    def map(
        self,
        queries: Iterable[QueryValue] | AsyncIterable[QueryValue],
        *,
        concurrency: int = 32,
        deadline: float | None = None,
    ) -> Iteration[Trajectory]:
        """Return an iterable, for ``for`` and ``async for``, of the trajectories of *queries* in their order.

        *concurrency* queries are in flight. Queries are taken as they are needed. A query that fails comes
        back as a failed trajectory; leaving the loop cancels what is in flight.
        """
        return in_order(queries, lambda query: self.optimize(query, deadline=deadline), concurrency)

    def stream(
        self,
        query: QueryValue,
        *,
        id: str | None = None,  # noqa: A002 - as the query's field is named
        seed: int | None = None,
        deadline: float | None = None,
    ) -> Iteration[Event | Trajectory]:
        """Return an iterable, for ``for`` and ``async for``, of the events of *query*, then its trajectory.

        A policy with a ``stream`` method adds a ``tpo.events.TextWritten`` for each piece of text.
        """
        at = self._for_call(seed, None, deadline)
        at.streams = True
        return events_of(lambda listener: at.optimize(query, id=id, listener=listener))

    def close(self) -> None:
        """Close the models that were loaded by name, from synchronous code."""
        run_blocking(self.aclose())

    async def aclose(self) -> None:
        """Close the models that were loaded by name; those that the caller brought stay open."""
        self._is_closed = True
        await self._close_models()
        await run_in_background(self._close_models)

    async def _close_models(self) -> None:
        for model, given in zip((self.policy, self.reward), self._given, strict=True):
            close = getattr(model, "aclose", None)
            if close is not None and is_named(given):
                await close()

    def announce(self, event: Event) -> None:
        """Tell the listeners."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # whatever a listener does, the method goes on
                log.exception("a listener failed on %s", type(event).__name__)

    def _for_call(self, seed: int | None, listener: Listener | None, deadline: float | None) -> Optimizer:
        """Return an optimizer with the values of one call.

        Raises:
            ConfigError: one is out of its range, or the optimizer is closed.
        """
        if self._is_closed:
            raise ConfigError("this Optimizer is closed")
        if seed is not None:
            require_seed(seed)
        require_listener(listener)
        if not (deadline is None or isinstance(deadline, int | float)):
            raise ConfigError(f"deadline must be a number of seconds, not {deadline!r:.200}")
        at = copy.copy(self)
        at.seed = self.seed if seed is None else seed
        if listener is not None:
            at._listeners = (*self._listeners, listener)
        if deadline is not None:
            at.stopping = (*self.stopping, Deadline(deadline))
        return at

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __copy__(self) -> Self:
        same = object.__new__(type(self))
        same.__dict__ = self.__dict__.copy()
        return same

    def __getstate__(self) -> dict[str, Any]:
        """Return what a process needs to build the same optimizer: names, functions and values.

        Raises:
            pickle.PicklingError: a model or another part cannot be sent to a process.
        """
        state = {name: value for name, value in vars(self).items() if name not in ("policy", "reward")}
        parts = {name: value for name, value in state.items() if name != "_given"}
        for name, value in [*zip(("policy", "reward"), self._given, strict=True), *parts.items()]:
            require_picklable(name.strip("_"), value)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        policy, reward = self._given
        self.policy = load_policy(policy) if is_named(policy) else as_policy(policy)
        self.reward = load_reward(reward) if is_named(reward) else as_reward(reward)

    def __repr__(self) -> str:
        policy, reward = (each if is_named(each) else _shown(each) for each in self._given)
        shape = f"{self.method.name}, sample_size={self.method.sample_size}"
        return f"Optimizer({policy}, {reward}, {shape}, max_iterations={self.method.max_iterations})"


def _shown(model: object) -> str:
    return getattr(model, "__name__", type(model).__name__)
