"""Responses scored a second: the micro-batcher against a transformers pipeline that takes one at a time.

    python -m benchmarks.reward_throughput [--responses 400]

The embedded reward model on this machine's processor, responses of mixed lengths (lognormal), all asked at
once as the queries of a run ask: one response to each query, and five, as a run has them. Both begin with
messages. The pipeline has batch size 1, the reference's way, with torch's own number of threads and with one.
Rounds of all alternate, so that whatever else the machine does meets all; CPU seconds stand beside the
wall's. A last row bounds what any way can reach: the products that each token takes, at this
core's best rate.
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


def pairs(count: int, median: int, samples: int = 1) -> Pairs:
    """So many responses, each of a drawn number of words; *samples* of them answer the same query."""
    luck = random.Random(7)  # noqa: S311 - a benchmark
    lengths = [max(4, min(16 * median, round(median * luck.lognormvariate(0.0, 0.8)))) for _ in range(count)]
    queries = [(user(_words(luck, 12)),) for _ in range(0, count, samples)]
    return [(queries[at // samples], _words(luck, length)) for at, length in enumerate(lengths)]


def _words(luck: random.Random, count: int) -> str:
    return " ".join(luck.choice(WORDS) for _ in range(count))


def by_pipeline(work: Pairs, threads: int) -> Callable[[], list[float]]:
    """One response after the other through ``pipeline("text-classification")``."""
    path = str(reward_path())
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
    pipe = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")

    def score(messages: Messages, response: str) -> float:
        text = tokenizer.apply_chat_template([*messages, assistant(response)], tokenize=False)
        return float(pipe(text, function_to_apply="none", batch_size=1)[0]["score"])

    def scores() -> list[float]:
        torch.set_num_threads(threads)
        return [score(*one) for one in work]

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
    options = parser.parse_args()
    threads = torch.get_num_threads()
    result: dict[str, Any] = {"setup": vars(options) | {"torch_threads": threads, "rounds": ROUNDS}}
    for samples in (1, 5):
        work = pairs(options.responses, options.median_words, samples)
        result[f"responses a query: {samples}"] = compared(work, threads) | {"bound": bound(work)}
    write_result("reward_throughput", result, "torch", "transformers")


def compared(work: Pairs, threads: int) -> dict[str, Any]:
    """Every way on the same *work*, beside the pipeline with as many *threads* as torch takes."""
    ways = {
        "pipeline, batch size 1": by_pipeline(work, threads),
        "pipeline, batch size 1, one thread": by_pipeline(work, 1),
        "micro-batcher, float32": by_batcher(work, "float32"),
        "micro-batcher, its default": by_batcher(work, None),
    }
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            rounds[name].append(timed(way))
    found = {name: median(one, len(work)) for name, one in rounds.items()}
    plain = found["pipeline, batch size 1"]
    first = rounds["pipeline, batch size 1"][0]["values"]
    apart = {
        n: max(abs(a - b) for a, b in zip(first, r[0]["values"], strict=True)) for n, r in rounds.items()
    }
    return {
        "median": found,
        "times_the_pipeline": {
            name: {key: round(one[key] / plain[key], 2) for key in plain} for name, one in found.items()
        },
        "largest_difference_of_a_score": {name: round(value, 6) for name, value in apart.items()},
    }


def bound(work: Pairs) -> dict[str, float]:
    """Responses a second on one core if it did nothing but the products of weights, each token once.

    Of the last layer, keys and values are needed of every token, the rest of a response's last one alone.
    """
    chat = HFReward(reward_path(), device="cpu").chat
    read = [tuple(chat.conversation_ids((*messages, assistant(text)))) for messages, text in work]
    tokens = len({ids[:end] for ids in read for end in range(1, len(ids) + 1)})
    config = transformers.AutoConfig.from_pretrained(str(reward_path()))
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    weights = (layers - 1) * (4 * width * width + 3 * width * inner) + 2 * width * width
    rate = product_rate(width, inner)
    return {
        "tokens_a_response": round(sum(map(len, read)) / len(read), 1),
        "tokens_read_once": round(tokens / len(read), 1),
        "gflop_a_second_of_one_core": round(rate / 1e9, 1),
        "per_cpu_second": round(len(read) * rate / (2 * weights * tokens), 1),
    }


def product_rate(width: int, inner: int) -> float:
    """Operations a second of float32 products of the model's size, on one core, the best of some trials."""
    torch.set_num_threads(1)
    tokens, weights = torch.randn(512, width), torch.randn(inner, width)
    seconds = []
    for _ in range(200):
        begin = time.perf_counter()
        torch.nn.functional.linear(tokens, weights)
        seconds.append(time.perf_counter() - begin)
    return 2 * 512 * width * inner / min(seconds)


def median(rounds: list[dict[str, Any]], responses: int) -> dict[str, float]:
    """Responses a second, of the wall and of the processor."""
    return {
        "per_wall_second": round(responses / statistics.median(it["wall_s"] for it in rounds), 1),
        "per_cpu_second": round(responses / statistics.median(it["cpu_s"] for it in rounds), 1),
    }


if __name__ == "__main__":
    main()
