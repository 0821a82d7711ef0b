"""How fast the in-process models run the whole method: D2-N5 over 100 queries, policy and reward.

    python -m benchmarks.in_process [--queries 100] [--dtype float32] [--reward-dtype float64] [--threads 2]

The models are random ones of the embedded pair's shape, the texts of given lengths (measured on realistic
messages), so nothing depends on what a model says. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import transformers
from tests.models import save_policy, save_reward

from tpo.policies.local import HFPolicy
from tpo.rewards.hf import HFReward
from tpo.types import Phase, Sampling, Scope, user

SHAPE: dict[str, Any] = {
    "vocab_size": 2048,
    "hidden_size": 256,
    "intermediate_size": 640,
    "num_hidden_layers": 5,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "max_position_embeddings": 1024,
    "initializer_range": 0.02,
}
REWARD_SHAPE = SHAPE | {
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}
CALLS: tuple[tuple[Phase, int, int, int], ...] = (
    ("sample", 5, 40, 47),
    *(("loss", 1, 150, 86), ("gradient", 1, 260, 9), ("update", 5, 296, 47)) * 2,
)
"""Phase, samples, tokens of the prompt, tokens of each completion."""

TEMPLATE_TOKENS = 18
"""What the test template adds to a single turn of a prompt."""


def make_pair(folder: Path) -> tuple[Path, Path]:
    """A policy whose draws are about as sure of themselves as a trained one's, and a reward."""
    policy = save_policy(folder / "policy", **SHAPE)
    model = transformers.LlamaForCausalLM.from_pretrained(policy)
    model.lm_head.weight.data *= 30
    model.save_pretrained(policy)
    return policy, save_reward(folder / "reward", **REWARD_SHAPE)


async def one_query(policy: HFPolicy, reward: HFReward | None, number: int) -> int:
    """The calls of one query; its number of completion tokens."""
    tokens = 0
    for call, (phase, n, prompt, completion) in enumerate(CALLS):
        scope = Scope(f"q{number}", call, phase)
        sampling = Sampling(n=n, max_tokens=completion, seed=1024 * (number * len(CALLS) + call))
        messages = (user(f"{number:03d}".ljust(prompt - TEMPLATE_TOKENS, "Z")),)
        scoring = []
        async for reply in policy.sample(messages, sampling, scope):
            tokens += reply.usage.completion_tokens
            if reward is not None and n > 1:
                scoring.append(reward.score((user("Z" * 22),), "Z" * 47, scope))
        await asyncio.gather(*scoring)
    return tokens


async def run(policy: HFPolicy, reward: HFReward | None, queries: int, concurrency: int) -> int:
    """All queries, *concurrency* at a time."""
    gate = asyncio.Semaphore(concurrency)

    async def gated(number: int) -> int:
        async with gate:
            return await one_query(policy, reward, number)

    return sum(await asyncio.gather(*(gated(number) for number in range(queries))))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--dtype", default=None)
    parser.add_argument("--reward-dtype", default=None)
    parser.add_argument("--batch-tokens", type=int, default=None)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--no-reward", action="store_true")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        policy_path, reward_path = make_pair(Path(folder))
        policy = HFPolicy(policy_path, dtype=options.dtype, max_batch_tokens=options.batch_tokens)
        reward = None if options.no_reward else HFReward(reward_path, dtype=options.reward_dtype)
        begin, cpu = time.perf_counter(), time.process_time()
        tokens = asyncio.run(run(policy, reward, options.queries, options.concurrency))
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    sys.stdout.write(
        json.dumps(
            {
                "command": "python -m benchmarks.in_process " + " ".join(sys.argv[1:]),
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
                "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
                "torch_threads": torch.get_num_threads(),
                "queries": options.queries,
                "completion_tokens": tokens,
                "seconds": round(seconds, 1),
                "cpu_seconds": round(cpu, 1),
                "settled_draws": policy.settled,
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
