"""Hand-made arms for tests of statistics."""

from __future__ import annotations

from tpo.experiments.sweep.arms import Arm, QueryResult
from tpo.methods.catalog import build_method
from tpo.report.statistics import expected_best


def row(
    pool: tuple[float, ...],
    best: tuple[float, ...],
    written: tuple[float, ...],
    read: tuple[float, ...] | None = None,
) -> QueryResult:
    prompts = read or tuple(10.0 * (step + 1) for step in range(len(written)))
    return QueryResult(
        first=pool[0],
        best_of=tuple(expected_best([pool])[0]),
        best=best,
        read=prompts,
        written=written,
        calls=tuple(float(len(pool) + 3 * step) for step in range(len(written))),
        sample_read=prompts[0],
        sample_written=written[0],
    )


def arm(method: str, samples: int, depth: int, rows: dict[str, QueryResult]) -> Arm:
    built = build_method(method, sample_size=samples, max_iterations=depth)
    return Arm(f"{method} D{depth}-N{samples}", built, "guide", (7,), rows, 0, "alike")


POOL = (1.0, 2.0, 3.0, 4.0)
BON = arm("bon", 4, 0, {"a": row(POOL, (4.0,), (40.0,)), "b": row(tuple(-x for x in POOL), (-1.0,), (40.0,))})


def long_prompt_arms() -> list[Arm]:
    """Return TPO and a pool of 4 over 49 queries with prompts of 100 tokens and one with 20,000."""
    prompts = {f"q{number}": 100.0 for number in range(49)} | {"long": 20_000.0}
    tpo = {q: row((1.0, 2.0), (2.0, 5.0), (20.0, 32.0), (read, 3 * read)) for q, read in prompts.items()}
    pool = {q: row((1.0, 2.0, 3.0, 4.0), (4.0,), (40.0,), (read,)) for q, read in prompts.items()}
    return [arm("tpo", 2, 1, tpo), arm("bon", 4, 0, pool)]
