"""How many prompt tokens are computed a query, by layout: what a prefix cache makes of a conversation.

    python -m benchmarks.prefill                                in simulation
    python -m benchmarks.prefill --url http://HOST:8000         and on a real vLLM server, by its own counters
    python -m benchmarks.prefill --words-url http://HOST:8000   and on one that serves benchmarks.words

In simulation, and with the model of random words, the layouts get replies of the same lengths and choose the
same candidates; rewards are drawn, from one distribution for all steps, or from one that rises by a standard
deviation a step, so that most chosen responses are updates. With any other model each layout writes its own
texts, since other prompts bring other words; their lengths stand beside the counts.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import urllib.request
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.record import write_result
from benchmarks.simulation import LARGE, Lengths, run_virtual
from benchmarks.simulation.limits import unlimited
from benchmarks.simulation.schedules import Work, alone
from benchmarks.words import EXTRA, ByPlace, OfLengths, questions

from tpo.data.load import load_queries
from tpo.methods.catalog import build_method
from tpo.policies.base import Policy
from tpo.policies.openai import OpenAIPolicy
from tpo.rewards.base import Reward
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import fingerprint, run_queries
from tpo.store import RunDirectory
from tpo.tiny import examples_path
from tpo.types import Query

LAYOUTS = ("tpo", "fused", "paper")
COUNTERS = {
    "queried": "vllm:prefix_cache_queries_total",
    "hits": "vllm:prefix_cache_hits_total",
    "written": "vllm:generation_tokens_total",
}


def simulated(layout: str, size: int, lengths: Lengths, gain: float) -> dict[str, float]:
    """Tokens a query on an engine that forgets nothing, where rewards rise by *gain* a step."""
    work = Work(size, lengths, build_method(layout), unlimited(LARGE), gain)
    totals = run_virtual(alone(work)).engine
    return per_query(totals.prompt_tokens, totals.computed_tokens, totals.written_tokens, size)


def per_query(prompt: float, computed: float, written: float, size: int) -> dict[str, float]:
    """Means over queries; a prompt counts for each of its samples."""
    return {
        "prompt_tokens": round(prompt / size, 1),
        "computed_tokens": round(computed / size, 1),
        "computed_share": round(computed / prompt, 3),
        "written_tokens": round(written / size, 1),
    }


def counters(url: str) -> dict[str, float]:
    """The server's own counts so far."""
    address = url.removesuffix("/").removesuffix("/v1") + "/metrics"
    with urllib.request.urlopen(address, timeout=60) as reply:  # noqa: S310 - the user's own server
        text = reply.read().decode()
    return {
        name: sum(float(v) for v in re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", text, re.MULTILINE))
        for name, metric in COUNTERS.items()
    }


async def tiny_served(url: str, layout: str, size: int) -> dict[str, float]:
    """*layout* over *size* of the shipped queries, scored by length."""
    queries = list(islice(load_queries(str(examples_path())), size))
    policy = OpenAIPolicy(url)
    counts = await counted(url, layout, queries, policy, ScriptedReward(), max_tokens=256)
    await policy.aclose()
    return counts


async def words_served(url: str, layout: str, size: int, lengths: Lengths, gain: float) -> dict[str, float]:
    """*layout* over *size* queries, with replies of *lengths*; rewards rise by *gain* a step."""
    policy = OpenAIPolicy(url, extra=EXTRA)
    queries = questions(size, lengths)
    counts = await counted(
        url, layout, queries, OfLengths(policy, lengths), ByPlace(gain), max_tokens=lengths.most
    )
    await policy.aclose()
    return counts


async def counted(
    url: str, layout: str, queries: list[Query], policy: Policy, reward: Reward, *, max_tokens: int
) -> dict[str, float]:
    """Run *queries*, and read the server's counters around it."""
    recipe = build_method(layout, max_tokens=max_tokens)
    before = await asyncio.to_thread(counters, url)
    with tempfile.TemporaryDirectory() as folder:
        shape = fingerprint(recipe, seed=7, data=None)
        async with RunDirectory.open(Path(folder), configuration={}, fingerprint=shape) as directory:
            summary = await run_queries(queries, policy, reward, recipe, directory, concurrency=16)
    if summary.failed:
        raise SystemExit(
            f"{summary.failed} of {len(queries)} queries failed; is this the model that it is for?"
        )
    after = await asyncio.to_thread(counters, url)
    made = {name: after[name] - before[name] for name in COUNTERS}
    return per_query(made["queried"], made["queried"] - made["hits"], made["written"], len(queries))


def against_paper(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    """Each layout's computed tokens as a share of those of the paper's."""
    return {n: round(r["computed_tokens"] / rows["paper"]["computed_tokens"], 3) for n, r in rows.items()}


def told(size: int, rows: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The layouts' counts over *size* queries, and what they come to."""
    return {"size": size, "rows": rows, "computed_of_paper": against_paper(rows)}


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--url")
    parser.add_argument("--words-url")
    parser.add_argument("--server-size", type=int, default=40)
    options = parser.parse_args()
    settings = {
        "usual lengths": (Lengths(), 0.0),
        "long questions": (Lengths(question=600), 0.0),
        "updates score higher": (Lengths(), 1.0),
    }
    result: dict[str, Any] = {"simulation": {}}
    for name, (lengths, gain) in settings.items():
        rows = {layout: simulated(layout, options.size, lengths, gain) for layout in LAYOUTS}
        result["simulation"][name] = told(options.size, rows)
    if options.url:
        rows = {
            layout: asyncio.run(tiny_served(options.url, layout, options.server_size)) for layout in LAYOUTS
        }
        result["server"] = told(options.server_size, rows)
    for name, (lengths, gain) in settings.items() if options.words_url else ():
        work = options.server_size, lengths, gain
        rows = {layout: asyncio.run(words_served(options.words_url, layout, *work)) for layout in LAYOUTS}
        result.setdefault("server of random words", {})[name] = told(options.server_size, rows)
    write_result("prefill", result, "aiohttp")


if __name__ == "__main__":
    main()
