"""Test-Time Preference Optimization (Li et al. 2025, arXiv 2501.12895): align a model as it answers.

    from tpo import Optimizer

    trajectory = Optimizer(policy, reward).run("Write a haiku about the sea.")
    print(trajectory.answer)

    results = tpo.run("prompts.jsonl", policy=policy, reward=reward)  # resumes where it stopped

Every name here is imported when it is first used, so that ``import tpo`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see; at run time __getattr__ finds the same
    from tpo.api import Run, arun, load_run, run
    from tpo.errors import (
        ConfigError,
        DataError,
        MissingExtra,
        PolicyError,
        PolicyRefused,
        RewardError,
        RewardRefused,
        StoreBusy,
        StoreError,
        StoreMismatch,
        TpoError,
    )
    from tpo.methods.attempt import Attempt
    from tpo.methods.branch import Branch
    from tpo.methods.catalog import build_method
    from tpo.methods.consensus import Consensus
    from tpo.methods.contrast import contrast
    from tpo.methods.fallback import BestOfNFallback, RevisionFallback
    from tpo.methods.method import Method, StepCall
    from tpo.methods.named_models import load_policy, load_reward
    from tpo.methods.optimize import Optimizer
    from tpo.methods.selection import HighestReward, Selection
    from tpo.methods.stopping import Deadline, Plateau, SampleCost, StoppingRule, TargetReward, TokenBudget
    from tpo.methods.tags import tagged_response
    from tpo.methods.tpo import Tpo
    from tpo.policies.base import Policy
    from tpo.policies.local import HFPolicy
    from tpo.policies.openai import OpenAIPolicy
    from tpo.policies.scripted import ScriptedPolicy
    from tpo.rewards.base import Reward
    from tpo.rewards.hf import HFReward
    from tpo.rewards.scripted import ScriptedReward
    from tpo.runs.plan import RunPlan
    from tpo.types import (
        Call,
        Candidate,
        Completion,
        Delta,
        Message,
        Messages,
        Pair,
        Query,
        Reply,
        Sampling,
        Scope,
        Score,
        Step,
        Trajectory,
        Usage,
        assistant,
        system,
        user,
    )

    __version__: str
    """Version of the installed package; ``unknown`` if it is not installed."""

_HOMES = {
    "tpo.api": "Run arun load_run run",
    "tpo.errors": "ConfigError DataError MissingExtra PolicyError PolicyRefused RewardError RewardRefused"
    " StoreBusy StoreError StoreMismatch TpoError",
    "tpo.methods.attempt": "Attempt",
    "tpo.methods.branch": "Branch",
    "tpo.methods.catalog": "build_method",
    "tpo.methods.contrast": "contrast",
    "tpo.methods.consensus": "Consensus",
    "tpo.methods.fallback": "BestOfNFallback RevisionFallback",
    "tpo.methods.method": "Method StepCall",
    "tpo.methods.named_models": "load_policy load_reward",
    "tpo.methods.optimize": "Optimizer",
    "tpo.methods.selection": "HighestReward Selection",
    "tpo.methods.stopping": "Deadline Plateau SampleCost StoppingRule TargetReward TokenBudget",
    "tpo.methods.tags": "tagged_response",
    "tpo.methods.tpo": "Tpo",
    "tpo.policies.base": "Policy",
    "tpo.policies.local": "HFPolicy",
    "tpo.policies.openai": "OpenAIPolicy",
    "tpo.policies.scripted": "ScriptedPolicy",
    "tpo.rewards.base": "Reward",
    "tpo.rewards.hf": "HFReward",
    "tpo.rewards.scripted": "ScriptedReward",
    "tpo.runs.plan": "RunPlan",
    "tpo.types": "Call Candidate Completion Delta Message Messages Pair Query Reply Sampling Scope Score Step"
    " Trajectory Usage assistant system user",
}
_REPLACED = {"Recipe": "Method", "build_recipe": "build_method", "Feedback": "Call"}
"""Public names of earlier versions and what took their place."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [  # noqa: RUF022 - by what they are for
    # many queries
    "run",
    "arun",
    "load_run",
    "Run",
    "RunPlan",
    # one query
    "Optimizer",
    "build_method",
    "load_policy",
    "load_reward",
    # policies and rewards
    "Policy",
    "HFPolicy",
    "OpenAIPolicy",
    "ScriptedPolicy",
    "Reward",
    "HFReward",
    "ScriptedReward",
    # methods of your own
    "Method",
    "StepCall",
    "Tpo",
    "Attempt",
    "Branch",
    "contrast",
    "tagged_response",
    "assistant",
    "system",
    "user",
    # when an attempt stops, and which candidate is the answer
    "StoppingRule",
    "Deadline",
    "TargetReward",
    "Plateau",
    "TokenBudget",
    "SampleCost",
    "BestOfNFallback",
    "RevisionFallback",
    "Selection",
    "HighestReward",
    "Consensus",
    # values
    "Call",
    "Candidate",
    "Completion",
    "Delta",
    "Message",
    "Messages",
    "Pair",
    "Query",
    "Reply",
    "Sampling",
    "Scope",
    "Score",
    "Step",
    "Trajectory",
    "Usage",
    # errors
    "ConfigError",
    "DataError",
    "MissingExtra",
    "PolicyError",
    "PolicyRefused",
    "RewardError",
    "RewardRefused",
    "StoreBusy",
    "StoreError",
    "StoreMismatch",
    "TpoError",
]


if not TYPE_CHECKING:  # a type checker would take it for a promise of every name

    def __getattr__(name: str) -> Any:
        """Return the public *name*, from the module that it lives in."""
        if name in _REPLACED:
            new = _REPLACED[name]
            raise ImportError(f"tpo.{name} was replaced by tpo.{new}: docs/migration.md shows how to move")
        if name == "__version__":
            return _version()
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tpo")
    except PackageNotFoundError:
        return "unknown"


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
