"""BeaverTails-Evaluation: 700 prompts in 14 harm categories; the mean reward of answers (Ji et al. 2023)."""

from __future__ import annotations

from tpo.data.hub import HubSource
from tpo.data.row import Row
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.columns import column
from tpo.experiments.bench.graders.reward import FSFAIRX, grade_by_reward, mean_reward
from tpo.types import Query, user


def _read(row: Row, position: int) -> Query:
    """Return ``prompt`` as the query; its position is the id, because the set has no ids."""
    return Query(
        id=f"beavertails-{position}",
        messages=(user(column(row, "prompt")),),
        metadata={"category": column(row, "category")},
    )


BEAVERTAILS = Benchmark(
    name="beavertails",
    title="BeaverTails",
    hub=HubSource("PKU-Alignment/BeaverTails-Evaluation", split="test"),
    licence="CC BY-NC 4.0: not for commercial use; prompts about harm",
    size=700,
    metric="mean reward of the answers (the paper: FsfairX)",
    read=_read,
    grade=grade_by_reward,
    summarize=mean_reward,
    stratum="category",
    paper=(("mean_reward", "beavertails"),),
    paper_reward=FSFAIRX,
)
