"""How long many queries take against what no schedule can beat, in simulation.

    python -m benchmarks.makespan [--sizes 40,200,1000,5000] [--schedules 64,256,512/256]

The real runner, journal and recipes run on a simulated engine (see ``benchmarks/simulation``), D2-N5 with
lognormal lengths and rewards scored on a card of their own. A schedule is a number of queries in flight,
and behind a stroke a number of samples (``--concurrency`` and ``--sequences`` of a run). Beside it the
reference's: four threads, chunks of sixteen queries that wait for their slowest, rewards one by one. Each row
tells where its time went. A call's samples come together, as of one request with n, or with ``--delivery
each`` as soon as each is finished. The engines whose name ends in "overlapped" read caches while they
compute, as no engine in common use does; with 512, a step computes no more tokens than that. Repeats to the
last digit.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from typing import Any

from benchmarks.record import write_result
from benchmarks.simulation import LARGE, SMALL, Hardware, Lengths, run_virtual
from benchmarks.simulation.breakdown import breakdown
from benchmarks.simulation.limits import Limit, limit, unlimited
from benchmarks.simulation.models import Delivery
from benchmarks.simulation.schedules import Outcome, Work, alone, reference, this_package

from tpo.methods.catalog import build_method

HARDWARE = {
    "70B on four H100": LARGE,
    "8B on one H100": SMALL,
    "70B, overlapped": replace(LARGE, overlaps=True),
    "70B, 512 tokens a step, overlapped": replace(LARGE, overlaps=True, batch_tokens=512),
    "8B, overlapped": replace(SMALL, overlaps=True),
}


def rows(
    name: str, size: int, schedules: list[str], delivery: Delivery, with_reference: bool
) -> dict[str, Any]:
    """One engine, one number of queries: the limits, and every schedule against them."""
    work = Work(size, Lengths(), build_method("tpo"), HARDWARE[name])
    least = run_virtual(alone(replace(work, hardware=unlimited(work.hardware))))
    bound = limit(work.hardware, least)
    found: dict[str, Any] = {
        "engine": name,
        "queries": size,
        "limit_s": round(bound.seconds, 2),
        "chain_s": round(bound.chain, 2),
        "work_s": round(bound.work, 2),
        "joint_s": round(bound.joint, 2),
        "schedules": {},
    }
    for schedule in schedules:
        concurrency, _, sequences = schedule.partition("/")
        outcome = run_virtual(
            this_package(
                work,
                concurrency=int(concurrency),
                sequences=int(sequences) if sequences else None,
                delivery=delivery,
            )
        )
        found["schedules"][schedule] = row(work.hardware, outcome, bound, least)
    if with_reference:
        outcome = run_virtual(reference(replace(work, recipe=build_method("paper"))))
        found["schedules"]["reference"] = row(work.hardware, outcome, bound, least)
    return found


def row(hardware: Hardware, outcome: Outcome, bound: Limit, least: Outcome) -> dict[str, float]:
    """A schedule's makespan, against the limit and against the tighter joint one, and what was lost."""
    return {
        "makespan_s": round(outcome.seconds, 2),
        "of_limit": round(outcome.seconds / bound.seconds, 3),
        "of_joint": round(outcome.seconds / bound.joint, 3),
        "mean_batch": round(outcome.engine.sequence_seconds / outcome.seconds, 1),
        "prefill_of_least": round(outcome.engine.computed_tokens / least.engine.computed_tokens, 3),
        "most_cache_held": round(outcome.engine.most_held / hardware.cache_tokens, 3),
        "reward_busy": round(outcome.reward_seconds / outcome.seconds, 3),
    } | breakdown(hardware, outcome, least)


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="40,200,1000,5000")
    parser.add_argument("--schedules", default="64,256,512/256")
    parser.add_argument("--delivery", choices=("each", "together"), default="together")
    parser.add_argument("--engines", default="/".join(HARDWARE), help="by name, between strokes")
    parser.add_argument("--overlapped-up-to", type=int, default=1000)
    parser.add_argument("--reference-up-to", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    setup = {"lengths": asdict(Lengths()), "engines": {n: asdict(h) for n, h in HARDWARE.items()}}
    jobs = [
        (name, size, options.schedules.split(","), options.delivery, size <= options.reference_up_to)
        for size in map(int, options.sizes.split(","))
        for name in options.engines.split("/")
        if size <= options.overlapped_up_to or not HARDWARE[name].overlaps
    ]
    with ProcessPoolExecutor(options.processes) as pool:
        result = list(pool.map(rows, *zip(*jobs, strict=True)))
    write_result("makespan", {"setup": setup, "rows": result})


if __name__ == "__main__":
    main()
