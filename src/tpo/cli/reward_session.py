"""One invocation of ``tpo bench reward``: the rows and the reward loaded, scored and shown."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from rich.console import Console

from tpo.cli.common import bench_directory_name, interruptible
from tpo.cli.escape import visible
from tpo.config import Settings, reward_identity
from tpo.config.models import reward_of
from tpo.experiments.bench.graders.load_judge import close_model
from tpo.experiments.bench.reward_models.results import RESULTS, RewardBenchmark, results_page
from tpo.experiments.bench.reward_models.rows import load_rows
from tpo.experiments.plan import locked_directory
from tpo.rewards.base import Reward


def bench_reward(settings: Settings, data: str | None) -> None:
    """Score the rows of *data*, or of the hub, with the reward of *settings*; print and write the results."""
    talk = Console(stderr=True, quiet=settings.quiet, highlight=False, emoji=False)
    rows = load_rows(data, limit=settings.limit)
    name = ", ".join(settings.reward)
    out = settings.out or Path("runs") / bench_directory_name("reward", name)
    benchmark = RewardBenchmark(rows, name, reward_identity(settings), out)
    again = f"interrupted; the same command resumes {out}"
    with interruptible(talk, again), locked_directory(out):
        count = sum(len(row.responses) for row in rows.rows)
        told = (
            f"RewardBench 2: {len(rows.rows):,} rows with {count:,} responses of {rows.source}; reward {name}"
        )
        talk.print(visible(told), markup=False, soft_wrap=True)
        with talk.status("loading the reward"):
            reward = reward_of(settings, os.environ)
        with talk.status("scoring"):
            record = asyncio.run(_run(benchmark, reward, settings.concurrency))
    console = Console(file=sys.stdout, highlight=False, emoji=False)
    console.print(visible(results_page(record)), markup=False, soft_wrap=True)
    console.print(f"{out / RESULTS}, results.md", markup=False, soft_wrap=True)


async def _run(benchmark: RewardBenchmark, reward: Reward, concurrency: int) -> dict[str, object]:
    try:
        return dict(await benchmark.run(reward, concurrency=concurrency))
    finally:
        await close_model(reward)
