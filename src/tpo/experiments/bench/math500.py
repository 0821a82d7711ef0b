"""MATH-500: 500 competition problems, zero-shot with a chain of thought (Lightman et al. 2023)."""

from __future__ import annotations

from tpo.data.hub import HubSource
from tpo.data.row import Row
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.columns import as_record, column
from tpo.experiments.bench.graders.mathematics import check_math_verify, grade_mathematics
from tpo.experiments.bench.graders.metrics import mean_score
from tpo.types import Query, user

REQUEST = "Think it through step by step, and end with the result inside \\boxed{}."


def _read(row: Row, position: int) -> Query:
    """Return ``problem`` with a request for steps and a box; ``answer`` is the reference."""
    level = as_record(row).get("level")
    return Query(
        id=column(row, "unique_id"),
        messages=(user(f"{column(row, 'problem')}\n\n{REQUEST}"),),
        reference=column(row, "answer"),
        metadata={"subject": column(row, "subject"), "level": level, "position": position},
    )


MATH_500 = Benchmark(
    name="math-500",
    title="MATH-500",
    hub=HubSource("HuggingFaceH4/MATH-500", split="test"),
    licence="MIT, the MATH data set's",
    size=500,
    metric="pass@1 of the final answer, by math-verify",
    read=_read,
    grade=grade_mathematics,
    summarize=mean_score("pass@1", scale=100.0, unit="%", by="math-verify"),
    stratum="level",
    paper=(("pass@1", "math500"),),
    check=check_math_verify,
)
