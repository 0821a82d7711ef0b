"""Runs in shards with scripted models, for tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.runs.models import reply, value
from tpo.config import load_settings
from tpo.errors import PolicyError
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.runs.inputs import SourceInput
from tpo.runs.models import Models
from tpo.runs.plan import RunPlan
from tpo.runs.summary import Summary
from tpo.types import Scope

SHAPE = {"sample_size": 2, "max_iterations": 1}


def data_file(folder: Path, count: int = 12) -> Path:
    """A data set of *count* prompts."""
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"prompt {number}"}) + "\n" for number in range(count)))
    return file


async def planned(data: Path, out: Path, shard: str | None = None, **settings: Any) -> RunPlan:
    """The plan of a run, or of one shard of it."""
    given = load_settings({**SHAPE, "out": out, "shard": shard, **settings}, {})
    return await RunPlan.resolve(given, SourceInput(str(data)))


async def run(
    data: Path, out: Path, shard: str | None = None, failing: str = "", failing_step: int = 0, **settings: Any
) -> Summary:
    """Run it; the query *failing* fails at *failing_step*."""
    failures = {Scope(failing, failing_step, "loss" if failing_step else "sample"): PolicyError("gone")}
    plan = await planned(data, out, shard, **settings)
    models = Models(ScriptedPolicy(reply, failures=failures), ScriptedReward(value))
    return await replace(plan, load=lambda events: models).run(models)
