"""Benchmark runs with scripted models; everything else is real."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tpo.config import Settings
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.graders.base import Answer, GradingContext
from tpo.experiments.bench.graders.judge import Judge
from tpo.experiments.bench.plan import BenchPlan, bench_cells
from tpo.experiments.bench.query_set import load_query_set
from tpo.experiments.bench.results import grade_answers
from tpo.policies.scripted import PolicyCall, Reply, Script, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.runs.models import Models
from tpo.types import Message, Query, user

DATA = Path(__file__).parent / "data"
FSFAIRX = "hf:sfairXC/FsfairX-LLaMA3-RM-v0.1"


def plan(
    benchmark: Benchmark,
    out: Path,
    *,
    data: Path | str | None = None,
    methods: Sequence[str] = ("tpo",),
    seeds: Sequence[int] = (7,),
    limit: int | None = None,
    policy: str = "hf:allenai/Llama-3.1-Tulu-3-70B-SFT",
    reward: str = FSFAIRX,
    judge: Judge | None = None,
    options: dict[str, str] | None = None,
    baseline: Path | str | None = None,
    **more: Any,
) -> BenchPlan:
    """Return the plan of ``tpo bench run`` with two samples and one iteration."""
    settings = Settings(policy=(policy,), reward=(reward,), sample_size=2, max_iterations=1)
    file = data if data is not None else DATA / f"{benchmark.name.replace('-', '_')}.jsonl"
    against = None if baseline is None else str(baseline)
    return BenchPlan(
        benchmark=benchmark,
        query_set=load_query_set(benchmark, str(file), limit=limit, baseline=against),
        cells=bench_cells(settings, methods, seeds),
        settings=settings,
        out=out,
        context=GradingContext(judge=judge, folder=out, reward=reward, options=options or {}),
        clock=lambda: 0.0,
        **{"page": False, **more},
    )


def models(of: BenchPlan, script: Any, reward: ScriptedReward | None = None) -> Models:
    """Return scripted models; the default reward is a text's length."""
    del of
    return Models(ScriptedPolicy(script), reward or ScriptedReward())


async def execute(of: BenchPlan, setup: Models) -> dict[str, Any]:
    """Run all cells and grade their answers."""
    of.check()
    for cell in of.incomplete_cells():
        await of.run_plan(cell).execute(setup)
    return await grade_answers(of)


def carried_out(of: BenchPlan, script: Any, reward: ScriptedReward | None = None) -> dict[str, Any]:
    """Call :func:`execute` in an event loop of its own."""
    return asyncio.run(execute(of, models(of, script, reward)))


def judge(reply: Reply, name: str = "scripted-judge") -> Judge:
    """Return a judge with scripted replies."""
    return Judge(name, ScriptedPolicy(reply))


def answer(text: str, *, name: str = "q0", prompt: str = "Why?", **more: Any) -> Answer:
    """Return an answer to a question."""
    fields = {key: more.pop(key) for key in ("reference", "metadata") if key in more}
    return Answer(Query(name, (user(prompt),), **fields), text, **more)


def script(first: str, better: str) -> Script:
    """Return a script of first samples and of longer updates, which the reward prefers."""
    return {
        "sample": first,
        "loss": "It lacks something.",
        "gradient": "Add it.",
        "update": lambda call, index: improved(better),
    }


def asked_of(call: PolicyCall) -> str:
    """Return the text of the last message."""
    return str(call.messages[-1]["content"])


def length(messages: Sequence[Message], response: str) -> float:
    """Return the length of *response*, for ``--reward python:tests.experiments.bench.scripted:length``."""
    return float(len(response))


def words(messages: Sequence[Message], response: str) -> float:
    """Return the number of words of *response*."""
    del messages
    return float(len(response.split()))
