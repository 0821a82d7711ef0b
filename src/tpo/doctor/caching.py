"""Whether a server reads a prompt that it has read before from its cache."""

from __future__ import annotations

import re

from tpo.doctor.finding import good, unknown, warning
from tpo.doctor.patient import Notes, Patient, Subject
from tpo.doctor.sampling import SEED, draw
from tpo.http import HttpClient
from tpo.types import Sampling, user

CHECK = "prefix cache"
PROMPT = (
    user(
        "Read this list, and then answer with one word.\n"
        + "\n".join(f"{number}. The meeting moved to Friday at ten." for number in range(1, 61))
    ),
)
"""Long enough for several of a cache's blocks, of which only whole ones are kept."""

COUNTERS = {"queries": "vllm:prefix_cache_queries_total", "hits": "vllm:prefix_cache_hits_total"}
_LINE = re.compile(r"^(?P<name>[\w:]+)(?:\{[^}]*\})?\s+(?P<value>[\d.eE+-]+)")
PAUSE = 1.0
"""Seconds after which a server's counters have surely been brought up to date."""

Counts = dict[str, float]


async def check_caching(patient: Patient, notes: Notes) -> None:
    """Send one long prompt twice, and see how much of it was read anew."""
    for subject in notes.subjects:
        if subject.address is not None:
            await _check(subject, subject.address, patient, notes)


async def _check(subject: Subject, address: str, patient: Patient, notes: Notes) -> None:
    client = HttpClient(address, patient.api_key, timeout=10.0)
    notes.close_later(client)
    before = await _counts(client)
    sampling = Sampling(1, patient.recipe.temperature, patient.recipe.top_p, 1, SEED)
    cached = 0
    for _ in range(2):
        cached = sum(c.usage.cached_tokens for c in await draw(subject, PROMPT, sampling))
    after = await _counts(client)
    if before is not None and before == after:
        await patient.sleep(PAUSE)
        after = await _counts(client)
    _judge(subject, cached, _difference(before, after), notes)


def _judge(subject: Subject, cached: int, counted: Counts | None, notes: Notes) -> None:
    values = {"cached_tokens": cached, "counted": counted}
    if cached > 0 or (counted and counted["hits"] > 0):
        notes.tell(good(CHECK, f"{subject.name} reads a known prompt from its cache", **values))
    elif counted is None:
        sentence = f"{subject.name} does not tell whether it caches prefixes"
        notes.tell(
            unknown(CHECK, sentence, "if it can, switch it on: --method tpo gains much by it", **values)
        )
    else:
        sentence = f"{subject.name} read the same prompt twice from its start"
        advice = "serve with --enable-prefix-caching (on a CPU with --block-size 32)"
        notes.tell(warning(CHECK, sentence, advice, **values))


def _difference(before: Counts | None, after: Counts | None) -> Counts | None:
    if before is None or after is None:
        return None
    return {name: after[name] - before[name] for name in COUNTERS}


async def _counts(client: HttpClient) -> Counts | None:
    """Return the server's own counters, in tokens; None where it has none."""
    metrics = await client.get_text("/metrics")
    return None if metrics is None else read_counts(metrics)


def read_counts(metrics: str) -> Counts | None:
    """The prefix cache counters in the text of vLLM's ``/metrics``, over all engines."""
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
