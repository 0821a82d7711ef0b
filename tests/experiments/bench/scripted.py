"""A benchmark run with scripted models: everything but the models is the real thing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tpo.config import Settings
from tpo.experiments.bench.arms import make_arms
from tpo.experiments.bench.asked import ask
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.engine import Plan, check, generate, grade, incomplete
from tpo.experiments.bench.grading import Answer, Context
from tpo.experiments.bench.judge import Judge
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
) -> Plan:
    """What ``tpo bench run`` would carry out, of two samples and one iteration."""
    settings = Settings(policy=(policy,), reward=(reward,), sample_size=2, max_iterations=1)
    file = data if data is not None else DATA / f"{benchmark.name.replace('-', '_')}.jsonl"
    return Plan(
        benchmark=benchmark,
        asked=ask(benchmark, str(file), limit=limit, baseline=None if baseline is None else str(baseline)),
        arms=make_arms(settings, methods, seeds),
        settings=settings,
        out=out,
        context=Context(judge=judge, folder=out, reward=reward, options=options or {}),
        clock=lambda: 0.0,
        **{"page": False, **more},
    )


def models(of: Plan, script: Any, reward: ScriptedReward | None = None) -> Models:
    """Scripted ones; a reward of a text's length unless another is given."""
    del of
    return Models(ScriptedPolicy(script), reward or ScriptedReward())


async def carry_out(of: Plan, setup: Models) -> dict[str, Any]:
    """Answer and grade."""
    check(of)
    for arm in incomplete(of):
        await generate(of, arm, setup)
    return await grade(of)


def carried_out(of: Plan, script: Any, reward: ScriptedReward | None = None) -> dict[str, Any]:
    """As :func:`carry_out`, in a loop of its own."""
    return asyncio.run(carry_out(of, models(of, script, reward)))


def judge(reply: Reply, name: str = "scripted-judge") -> Judge:
    """A judge that says what it was told to."""
    return Judge(name, ScriptedPolicy(reply))


def answer(text: str, *, name: str = "q0", prompt: str = "Why?", **more: Any) -> Answer:
    """An answer to a question."""
    fields = {key: more.pop(key) for key in ("reference", "metadata") if key in more}
    return Answer(Query(name, (user(prompt),), **fields), text, **more)


def script(first: str, better: str) -> Script:
    """First samples and, longer so that the reward takes them, updates."""
    return {
        "sample": first,
        "loss": "It lacks something.",
        "gradient": "Add it.",
        "update": lambda call, index: improved(better),
    }


def asked_of(call: PolicyCall) -> str:
    """The text of the last turn."""
    return str(call.messages[-1]["content"])


def length(messages: Sequence[Message], response: str) -> float:
    """A reward for ``--reward python:tests.experiments.bench.scripted:length``."""
    return float(len(response))
