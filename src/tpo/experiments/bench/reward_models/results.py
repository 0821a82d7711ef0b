"""Score the rows of RewardBench 2 with a reward and write the results.

Scores are on disk before they are used (``scores-*.jsonl``, one file per reward): the same command resumes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.experiments.bench.reward_models.metrics import RewardResults, SubsetResult, evaluate
from tpo.experiments.bench.reward_models.rows import RewardRow, RewardRows
from tpo.experiments.score_store import ScoreStore
from tpo.experiments.tables import format_estimate, markdown_table
from tpo.export.atomic_writer import replacing_text
from tpo.report.bootstrap import Estimate
from tpo.rewards.base import Reward
from tpo.store.journal import request_hash
from tpo.store.jsonline import plain

RESULTS, TABLE = "results.json", "results.md"
GUESSING = "Best of 4 by chance: 25%."


@dataclass(frozen=True, slots=True)
class RewardBenchmark:
    """A run over *rows* with the reward *name*; *identity* tells its weights apart; results go to *out*."""

    rows: RewardRows
    name: str
    identity: Any
    out: Path

    async def run(self, reward: Reward, *, concurrency: int) -> Mapping[str, Any]:
        """Score what has no score yet, write the results and return their record.

        A row with a response that the reward refuses is not counted.

        Raises:
            RewardError: a fatal error, after which no response can be scored.
            StoreError: a file cannot be written.
        """
        store = ScoreStore(self.out / f"scores-{request_hash(plain(self.identity))[:8]}.jsonl")
        try:
            pairs = [(row.query, text) for row in self.rows.rows for text in row.responses]
            await store.score(pairs, reward, concurrency=concurrency)
            scores = {row.query.id: found for row in self.rows.rows if (found := _scores(store, row))}
        finally:
            await store.close()
        record = self._record(evaluate(self.rows.rows, scores), Counter(store.failures.values()))
        for file, text in ((RESULTS, json.dumps(record, indent=2) + "\n"), (TABLE, results_page(record))):
            with replacing_text(self.out / file) as written:
                written.write(text)
        return record

    def _record(self, results: RewardResults, failures: Counter[str]) -> dict[str, Any]:
        return {
            "benchmark": "RewardBench 2",
            "reward": self.name,
            "identity": plain(self.identity),
            "data": {"source": self.rows.source, "digest": self.rows.digest},
            "notes": list(self.rows.notes),
            "score": _estimate_record(results.overall),
            "subsets": [_subset_record(subset) for subset in results.subsets],
            "failures": [list(each) for each in failures.most_common(5)],
        }


def results_page(record: Mapping[str, Any]) -> str:
    """Return the Markdown page of a results *record*."""
    rows = [
        [each["name"], f"{each['scored']:,}", f"{each['unscored']:,}", format_estimate(each["score"], 1, "%")]
        for each in record["subsets"]
    ]
    total = [sum(each[kind] for each in record["subsets"]) for kind in ("scored", "unscored")]
    rows.append(
        ["mean of subsets", *(f"{count:,}" for count in total), format_estimate(record["score"], 1, "%")]
    )
    table = markdown_table(("subset", "rows", "not scored", "score [95% interval]"), rows)
    failures = [f"{count:,} responses: {reason}" for reason, count in record["failures"]]
    notes = [*record["notes"], *failures, GUESSING]
    return "\n".join(
        [f"# RewardBench 2: {record['reward']}", "", table, "", *(f"- {note}" for note in notes), ""]
    )


def _scores(store: ScoreStore, row: RewardRow) -> Sequence[float] | None:
    found = [store.value(row.query, text) for text in row.responses]
    return None if None in found else [value for value in found if value is not None]


def _subset_record(subset: SubsetResult) -> dict[str, Any]:
    return {
        "name": subset.name,
        "score": _estimate_record(subset.estimate),
        "scored": subset.scored,
        "unscored": subset.unscored,
    }


def _estimate_record(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    low, high = (None if bound is None else 100 * bound for bound in (estimate.low, estimate.high))
    return {"value": 100 * estimate.value, "low": low, "high": high}
