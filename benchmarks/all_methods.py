"""Table of all methods at three equal token budgets, with the embedded pair: docs/all-methods.md.

    python -m benchmarks.all_methods [--queries 100] [--out build/all-methods] [--fresh]

The same command resumes after an interruption, so ``timeout 300 python -m benchmarks.all_methods`` runs a
part. When every run is complete, the page is written, and the numbers to
``benchmarks/results/all_methods.json``. The held-out score is the hidden score of :mod:`training.held_out`,
which guides nothing. Models run in float32 on one thread. If the embedded pair has changed, use ``--fresh``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from benchmarks.record import write_result
from rich.console import Console
from training.held_out import held_out_tasks

from tpo.cli.sweep_session import SweepSession
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
ITERATIONS = {
    "tpo": 2, "revision": 3, "fused": 3, "feedback-history": 3, "multi-loss": 2, "median": 2,
    "aggregate": 2, "aggregate-weighted": 2, "ab-mcts": 2, "tmpc": 6,
}  # fmt: skip
"""Iterations of each method, enough to spend the largest of the budgets."""
FUSION_SAMPLES = (5, 10, 20, 35)
BUDGETS = (1000.0, 1750.0, 2500.0)
POOL = 80
"""First samples, enough to spend the largest of the budgets."""
PAGE = Path(__file__).parents[1] / "docs" / "all-methods.md"


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("build/all-methods"))
    parser.add_argument("--fresh", action="store_true", help="discard the existing runs")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    plan = make_plan(arguments.queries, arguments.out, fresh=arguments.fresh)
    talk = Console(stderr=True, highlight=False)
    sweeping = SweepSession(plan, talk, Console(file=sys.stdout, highlight=False))
    try:
        record = sweeping.carried(lambda outcome: write_results(plan, outcome))
    except typer.Exit as interrupted:
        sys.exit(interrupted.exit_code)
    missing = [cell["run"] for cell in record["cells"] if cell["finished"] < len(plan.queries)]
    if missing:
        sys.exit(f"not complete, no page is written: {', '.join(missing)}")
    PAGE.write_text(page(plan, record), "utf-8")
    write_result("all_methods", {"queries": len(plan.queries), "rows": record["at_budgets"]}, "torch")


def make_plan(count: int, out: Path, *, fresh: bool = False) -> SweepPlan:
    """Return the sweep over *count* held-out queries: every method, N of fusion, and the pool."""
    out.mkdir(parents=True, exist_ok=True)
    data = out / "held-out.jsonl"
    tasks = enumerate(held_out_tasks(count), 1)
    rows = [{"id": f"h{number:04d}", "prompt": task.prompt} for number, task in tasks]
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    settings = load_settings({"policy": ["tiny"], "reward": ["tiny"]}, {}, None)
    queries, digest = load_data(str(data), settings)
    axes = [Axes(("bon",), (POOL,), (0,), ("tiny",), (settings.seed,))]
    axes += [Axes((name,), (5,), (depth,), ("tiny",), (settings.seed,)) for name, depth in ITERATIONS.items()]
    axes += [Axes(("fusion",), FUSION_SAMPLES, (1,), ("tiny",), (settings.seed,))]
    return SweepPlan(
        settings=settings,
        source=str(data),
        queries=queries,
        digest=digest,
        cells=tuple(cell for each in axes for cell in sweep_cells(settings, each)),
        out=out,
        fresh=fresh,
        check_reward=HELD_OUT,
        figures=False,
        page=False,
        budgets=BUDGETS,
    )


ABOUT = """\
{tiny} It was trained on the prompts of these methods, each with a different share of the text. The
table therefore shows how the methods run, not how good they are.

{count} held-out queries, one seed. The budget counts the tokens that the policy reads and writes,
critiques included. Each method runs with N = 5 and is measured along its iterations; `fusion` is measured
along N. The value of best-of-n is the expected best of n of {pool} first samples. The held-out score is a
hidden score that guides no method. Intervals are 95% bootstrap intervals over queries. p is paired by
query and adjusted for all tests of the table (Holm). A dash means that the method does not reach the
budget.
{skewed}.

`paper` and `textgrad` are `tpo` with other prompts, and `rubric` needs a rubric: they are left out.

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
