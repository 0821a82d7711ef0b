"""Check of a server's prefix cache: send one long prompt twice and count the cached tokens."""

from __future__ import annotations

import re

from tpo.doctor.finding import good, unknown, warning
from tpo.doctor.sampling import SEED, sample_all
from tpo.doctor.setup import CheckState, ProbedPolicy, Setup
from tpo.http import HttpClient
from tpo.types import Sampling, user

CHECK = "prefix cache"
PROMPT = (
    user(
        "Read this list, and then answer with one word.\n"
        + "\n".join(f"{number}. The meeting moved to Friday at ten." for number in range(1, 61))
    ),
)
"""Long enough to fill several cache blocks: servers cache only full blocks."""

COUNTERS = {"queries": "vllm:prefix_cache_queries_total", "hits": "vllm:prefix_cache_hits_total"}
_LINE = re.compile(r"^(?P<name>[\w:]+)(?:\{[^}]*\})?\s+(?P<value>[\d.eE+-]+)")
PAUSE = 1.0
"""Seconds to wait for a server to update its counters."""

Counters = dict[str, float]


async def check_prefix_cache(setup: Setup, state: CheckState) -> None:
    """Send one long prompt twice and report whether the second request used the cache."""
    for probed in state.policies:
        if probed.address is not None:
            await _check(probed, probed.address, setup, state)


async def _check(probed: ProbedPolicy, address: str, setup: Setup, state: CheckState) -> None:
    client = HttpClient(address, setup.api_key, timeout=10.0)
    state.close_later(client)
    before = await _cache_counters(client)
    sampling = Sampling(1, setup.method.temperature, setup.method.top_p, 1, SEED)
    cached = 0
    for _ in range(2):
        cached = sum(c.usage.cached_tokens for c in await sample_all(probed, PROMPT, sampling))
    after = await _cache_counters(client)
    if before is not None and before == after:
        await setup.sleep(PAUSE)
        after = await _cache_counters(client)
    _report(probed, cached, _difference(before, after), state)


def _report(probed: ProbedPolicy, cached: int, counted: Counters | None, state: CheckState) -> None:
    values = {"cached_tokens": cached, "counted": counted}
    if cached > 0 or (counted and counted["hits"] > 0):
        state.report(good(CHECK, f"{probed.name} reads a repeated prompt from its cache", **values))
    elif counted is None:
        sentence = f"{probed.name} does not report whether it caches prefixes"
        advice = "enable prefix caching if the server has it: --method tpo repeats long prefixes"
        state.report(unknown(CHECK, sentence, advice, **values))
    else:
        sentence = f"{probed.name} processed the same prompt twice in full"
        advice = "serve with --enable-prefix-caching (on a CPU with --block-size 32)"
        state.report(warning(CHECK, sentence, advice, **values))


def _difference(before: Counters | None, after: Counters | None) -> Counters | None:
    if before is None or after is None:
        return None
    return {name: after[name] - before[name] for name in COUNTERS}


async def _cache_counters(client: HttpClient) -> Counters | None:
    """Return the server's own counters, in tokens; None if it has none."""
    metrics = await client.get_text("/metrics")
    return None if metrics is None else parse_cache_counters(metrics)


def parse_cache_counters(metrics: str) -> Counters | None:
    """Return the prefix cache counters in the text of vLLM's ``/metrics``, summed over engines."""
    found: dict[str, float] = {}
    for line in metrics.splitlines():
        match = _LINE.match(line)
        if match is None or match["name"] not in COUNTERS.values():
            continue
        try:
            found[match["name"]] = found.get(match["name"], 0.0) + float(match["value"])
        except ValueError:
            continue
    if len(found) < len(COUNTERS):
        return None
    return {name: found[counter] for name, counter in COUNTERS.items()}
