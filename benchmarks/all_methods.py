"""Table of all methods at three equal token budgets, with the embedded pair: docs/all-methods.md.

    python -m benchmarks.all_methods [--queries 60] [--out build/all-methods]

It resumes: what is finished there is not run again. The held-out score is the hidden score of
:mod:`training.held_out`, which guides nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from training.held_out import held_out_tasks

from tpo.cli.sweep_session import Sweeping
from tpo.config import load_settings
from tpo.experiments.cells import Cell
from tpo.experiments.sweep.grid import Axes, sweep_cells
from tpo.experiments.sweep.plan import SweepPlan, load_data
from tpo.experiments.sweep.results import write_results
from tpo.experiments.sweep.tables import budgets_table
from tpo.experiments.tables import SKEWED_NOTE, format_number, markdown_table
from tpo.report.overview import TINY_NOTE
from tpo.store import read_trajectories

HELD_OUT = "python:training.held_out:hidden_worth"
METHODS = (
    "tpo", "revision", "fused", "feedback-history", "multi-loss", "median",
    "aggregate", "aggregate-weighted", "ab-mcts", "tmpc",
)  # fmt: skip
FUSION_SAMPLES = (5, 10, 20)
BUDGETS = (1000.0, 2000.0, 3000.0)
POOL = 60
PAGE = Path(__file__).parents[1] / "docs" / "all-methods.md"


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("build/all-methods"))
    arguments = parser.parse_args()
    plan = make_plan(arguments.queries, arguments.out)
    talk = Console(stderr=True, highlight=False)
    sweeping = Sweeping(plan, talk, Console(file=sys.stdout, highlight=False))
    record = sweeping.carried(lambda outcome: write_results(plan, outcome))
    PAGE.write_text(page(plan, record), "utf-8")


def make_plan(count: int, out: Path) -> SweepPlan:
    """Return the sweep over *count* held-out queries: every method, N of fusion, and the pool."""
    out.mkdir(parents=True, exist_ok=True)
    data = out / "held-out.jsonl"
    tasks = enumerate(held_out_tasks(count), 1)
    rows = [{"id": f"h{number:04d}", "prompt": task.prompt} for number, task in tasks]
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    settings = load_settings({"policy": ["tiny"], "reward": ["tiny"]}, {}, None)
    queries, digest = load_data(str(data), settings)
    deep = Axes(METHODS, (5,), (2,), ("tiny",), (settings.seed,), POOL)
    fusion = Axes(("fusion",), FUSION_SAMPLES, (1,), ("tiny",), (settings.seed,))
    return SweepPlan(
        settings=settings,
        source=str(data),
        queries=queries,
        digest=digest,
        cells=(*sweep_cells(settings, fusion), *sweep_cells(settings, deep)),
        out=out,
        check_reward=HELD_OUT,
        figures=False,
        page=False,
        budgets=BUDGETS,
    )


ABOUT = """\
{tiny} It was trained on the prompts of these methods except TextGrad's, each with a different share of
the text. The table therefore shows how the methods run, not how good they are.

{count} held-out queries, one seed. The budget counts the tokens that the policy reads and writes,
critiques included. Each method runs with N = 5 and is measured along its iterations; `fusion` is measured
along N. The value of best-of-n is the expected best of n of {pool} first samples. The held-out score is a
hidden score that guides no method. Intervals are 95% bootstrap intervals over queries. p is paired by
query and adjusted for all tests of the table (Holm). A dash means that the method does not reach the
budget.
{skewed}.

```bash
python -m benchmarks.all_methods --queries {count}
```"""


def page(plan: SweepPlan, record: Mapping[str, Any]) -> str:
    """Return the page in Markdown."""
    rows = [(cell.label, *readable(plan, cell)) for cell in plan.cells if cell.method.max_iterations]
    head = ("method", "readable responses", "answers written after the first samples")
    about = ABOUT.format(tiny=f"**{TINY_NOTE}**", count=len(plan.queries), pool=POOL, skewed=SKEWED_NOTE)
    parts = ["# All methods at equal token budgets", about, budgets_table(record)]
    parts += ["## Effect of each method", markdown_table(head, rows)]
    return "\n\n".join(parts) + "\n"


def readable(plan: SweepPlan, cell: Cell) -> tuple[str, str]:
    """Return the share of readable responses after the first samples, and of answers that come from them."""
    drawn = read = changed = count = 0
    for trajectory in read_trajectories(plan.path(cell)):
        count += 1
        changed += trajectory.best is not None and trajectory.best.step > 0
        for step in trajectory.steps:
            drawn += sum(call.n for call in step.calls if call.reads)
            read += len(step.candidates)
    shares = (100 * read / max(drawn, 1), 100 * changed / max(count, 1))
    return f"{format_number(shares[0], 1)}%", f"{format_number(shares[1], 1)}%"


if __name__ == "__main__":
    main()
