"""Responses scored a second: the micro-batcher against a transformers pipeline that takes one at a time.

    python -m benchmarks.reward_throughput [--responses 400] [--threads 1]

The embedded reward model on this machine's processor, responses of mixed lengths (lognormal), all asked at
once as the queries of a run ask. The pipeline has batch size 1, the reference's way. Rounds of both
alternate, so that whatever else the machine does meets both; CPU seconds stand beside the wall's.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import transformers
from benchmarks.record import write_result

from tpo.rewards.hf import HFReward
from tpo.tiny import reward_path
from tpo.types import Messages, Scope, assistant, user

ROUNDS = 3
WORDS = [
    "please",
    "bring",
    "the",
    "blue",
    "scarf",
    "to",
    "our",
    "picnic",
    "by",
    "the",
    "lake",
    "on",
    "Sunday",
    "at",
    "noon",
    "with",
    "love",
    "and",
    "thanks",
]
Pairs = list[tuple[Messages, str]]


def pairs(count: int, median: int) -> Pairs:
    """So many queries, each with a response of a drawn number of words."""
    luck = random.Random(7)  # noqa: S311 - a benchmark
    lengths = [max(4, min(16 * median, round(median * luck.lognormvariate(0.0, 0.8)))) for _ in range(count)]
    return [((user(_words(luck, 12)),), _words(luck, length)) for length in lengths]


def _words(luck: random.Random, count: int) -> str:
    return " ".join(luck.choice(WORDS) for _ in range(count))


def by_pipeline(work: Pairs) -> Callable[[], list[float]]:
    """One response after the other through ``pipeline("text-classification")``."""
    path = str(reward_path())
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
    pipe = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    texts = [
        tokenizer.apply_chat_template([*messages, assistant(text)], tokenize=False) for messages, text in work
    ]

    def scores() -> list[float]:
        return [pipe(text, function_to_apply="none", batch_size=1)[0]["score"] for text in texts]

    return scores


def by_batcher(work: Pairs, dtype: str | None) -> Callable[[], list[float]]:
    """All at once through the reward that a run uses."""
    reward = HFReward(reward_path(), dtype=dtype, device="cpu")

    async def all_at_once() -> list[float]:
        asked = (
            reward.score(messages, text, Scope(f"q{number}", 0, "reward", 0))
            for number, (messages, text) in enumerate(work)
        )
        return [score.value for score in await asyncio.gather(*asked)]

    return lambda: asyncio.run(all_at_once())


def timed(scores: Callable[[], list[float]]) -> dict[str, Any]:
    """Wall and CPU seconds of one round, and what came of it."""
    wall, cpu = time.perf_counter(), time.process_time()
    values = scores()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "values": values}


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--responses", type=int, default=400)
    parser.add_argument("--median-words", type=int, default=40)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    work = pairs(options.responses, options.median_words)
    ways = {
        "pipeline, batch size 1, float32": by_pipeline(work),
        "micro-batcher, float32": by_batcher(work, "float32"),
        "micro-batcher, its default": by_batcher(work, None),
    }
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            rounds[name].append(timed(way))
    plain, *others = (median(found, options.responses) for found in rounds.values())
    first = rounds[next(iter(ways))][0]["values"]
    apart = {
        n: max(abs(a - b) for a, b in zip(first, r[0]["values"], strict=True)) for n, r in rounds.items()
    }
    result = {
        "setup": vars(options) | {"torch_threads": torch.get_num_threads(), "rounds": ROUNDS},
        "median": dict(zip(ways, [plain, *others], strict=True)),
        "times_the_pipeline": {
            name: {key: round(found[key] / plain[key], 2) for key in plain}
            for name, found in zip(list(ways)[1:], others, strict=True)
        },
        "largest_difference_of_a_score": {name: round(value, 6) for name, value in apart.items()},
    }
    write_result("reward_throughput", result, "torch", "transformers")


def median(rounds: list[dict[str, Any]], responses: int) -> dict[str, float]:
    """Responses a second, of the wall and of the processor."""
    return {
        "per_wall_second": round(responses / statistics.median(it["wall_s"] for it in rounds), 1),
        "per_cpu_second": round(responses / statistics.median(it["cpu_s"] for it in rounds), 1),
    }


if __name__ == "__main__":
    main()
