"""Overview of a run: configuration, totals, time, calls and tokens by phase, cost, failures by reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tpo.report.partial_run import PartialRun
from tpo.report.prices import Prices
from tpo.runs.summary import Summary
from tpo.store.runfile import RunRecord
from tpo.types import CRITIC, EDITOR, JUDGE, Usage

TINY = "tiny"
TINY_NOTE = (
    "The embedded pair was used: its numbers show that the software works; they do not reproduce the paper."
    " Both models are toys, trained for short messages."
)


def overview(
    name: str, run: PartialRun, summary: Summary, prices: Prices | None, answer_mean: float | None = None
) -> dict[str, Any]:
    """Return the overview of a run as JSON values; *answer_mean* is the mean reward of its answers."""
    record = run.record
    return {
        "name": name,
        "notes": list(run.notes),
        "tiny": TINY_NOTE if _uses_tiny(record) else None,
        "policy": _text(record.configuration.get("policy") or "unknown") if record else None,
        "reward_name": run_reward(record, name)[1] if record else None,
        "method": _method(record) if record else None,
        "configuration": _pairs(record.configuration if record else {}),
        "fingerprint": _pairs(record.fingerprint if record else {}),
        "versions": _pairs(record.invocations[-1].versions if record and record.invocations else {}),
        "started": record.started if record else None,
        "ended": record.ended if record else None,
        "starts": len(record.invocations) if record else None,
        "retries": sum(record.retries.values()) if record else 0,
        "seconds": summary.seconds,
        "finished": summary.finished,
        "failed": summary.failed,
        "answer_mean": answer_mean,
        "by_step": [asdict(step) for step in summary.by_step],
        "phases": _phases(summary, prices),
        "roles": _roles(summary, record, prices),
        "currency": None if prices is None else prices.currency,
        "reward": asdict(summary.reward_usage),
        "failures": list(summary.failures.items()),
        "warnings": list(summary.warnings),
        "stop_reasons": list(summary.stop_reasons.items()),
    }


def _uses_tiny(record: RunRecord | None) -> bool:
    """Return whether the run used a model of the embedded pair."""
    if record is None:
        return False
    models = (record.configuration.get(role) for role in ("policy", "reward"))
    return any(TINY in (each if isinstance(each, list | tuple) else [each]) for each in models)


def sampling_group(record: RunRecord | None, name: str) -> str:
    """Return a key that is equal for runs with the same first samples: same models, data and sampling."""
    if record is None:
        return name
    shaping = ["data", "column", "policy", "policy_extra", "reward"]
    shaping += ["method.temperature", "method.top_p", "method.max_tokens"]
    values = [record.fingerprint.get(key) for key in shaping]
    # Runs of earlier versions do not record their first prompt; only the paper's layout added a system text.
    layout = str(record.fingerprint.get("method.name", "")).startswith("paper")
    first_prompt = record.fingerprint.get("method.first_prompt", layout)
    return json.dumps([*values, first_prompt], sort_keys=True, default=str)


def run_reward(record: RunRecord | None, name: str) -> tuple[str, str]:
    """Return the identity and the name of a run's reward; runs with equal identities are comparable.

    A run whose reward is unknown is comparable with no other run: its identity contains the run's *name*.
    """
    if record is None or record.fingerprint.get("reward") is None:
        return f"unknown: {name}", f"unknown ({name})"
    reward = record.fingerprint["reward"]
    measured = {
        key: value
        for key, value in record.fingerprint.items()
        if key.startswith(("weights of reward", "scale of "))
    }
    identity = json.dumps([reward, measured], sort_keys=True, default=str)
    names = reward.get("names", reward) if isinstance(reward, dict) else reward
    return identity, _text(names)


def _method(record: RunRecord) -> str:
    """Return the method with its shape, as in ``tpo D2-N5``."""
    marks = record.fingerprint
    name = marks.get("method.name") or record.configuration.get("method") or "unknown"
    depth, samples = marks.get("method.max_iterations"), marks.get("method.sample_size")
    return str(name) if depth is None or samples is None else f"{name} D{depth}-N{samples}"


def _pairs(values: Mapping[str, Any]) -> list[list[str]]:
    """Return names and values as texts, without empty values."""
    return [[str(key), _text(value)] for key, value in values.items() if value not in (None, {}, [], "")]


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _roles(summary: Summary, record: RunRecord | None, prices: Prices | None) -> list[dict[str, Any]]:
    """Return usage and cost by role; empty where one model has all roles."""
    configuration = {} if record is None else record.configuration
    if not any(configuration.get(name) for name in (CRITIC, EDITOR, "select_judge")):
        return []
    return [
        {"role": role, **asdict(usage), "cost": None if prices is None else prices.of(role).cost(usage)}
        for role, usage in summary.roles.items()
    ]


def _phases(summary: Summary, prices: Prices | None) -> list[dict[str, Any]]:
    rows = [(str(phase), usage) for phase, usage in summary.usage.items()]
    rows.append(("selection", summary.roles.get(JUDGE, Usage())))
    rows = [(phase, usage) for phase, usage in rows if usage != Usage()]
    total = sum((usage for _, usage in rows), Usage())
    by_phase = prices if prices is not None and not prices.roles else None  # a phase does not tell its role
    costs = [None if by_phase is None else by_phase.cost(usage) for _, usage in rows]
    costs.append(None if prices is None else prices.total(total, summary.roles))
    return [
        {"phase": phase, **asdict(usage), "cost": cost}
        for (phase, usage), cost in zip([*rows, ("all", total)], costs, strict=True)
    ]
