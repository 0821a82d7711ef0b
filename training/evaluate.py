"""Measure the shipped pair on held-out queries: ``python -m training.evaluate``.

Prints the tables as Markdown, and writes them with machine, versions, date and command to
``training/results/``.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

import torch
import transformers

from tpo.methods.catalog import paper, paper_revision, revision, tpo
from tpo.tiny import policy_path
from tpo.types import Query
from training.causal import Causal, measure
from training.hidden import hidden_outside, hidden_score
from training.outside import draw_query
from training.preferences import Group, accuracy, synthetic_group
from training.rounds import Course, EmbeddedPair, criticise, start, step
from training.world import Task, draw_task

RESULTS = Path(__file__).parent / "results"


EVALUATED = {"tpo": tpo, "revision": revision, "paper": paper, "paper-revision": paper_revision}


def steps_table(name: str, tasks: Sequence[Task], courses: Sequence[Course], depth: int) -> list[str]:
    """Mean reward and hidden score of the samples and of the pool's best, by step."""
    rows = []
    for number in range(depth + 1):
        samples = [(task, c) for task, course in zip(tasks, courses, strict=True) for c in course.at(number)]
        best = [(task, course.best(number)) for task, course in zip(tasks, courses, strict=True)]
        figures = (
            mean(c.reward for _, c in samples), mean(c.reward for _, c in best),
            mean(hidden_score(t, c.text) for t, c in samples), mean(hidden_score(t, c.text) for t, c in best),
        )  # fmt: skip
        written = sum(course.malformed + len(course.pool) - len(course.at(0)) for course in courses)
        malformed = sum(course.malformed for course in courses) / max(1, written)
        parse = f"{100 * malformed:.2f} %" if number == depth else ""
        rows.append(f"| {name} | {number} | " + " | ".join(f"{f:.2f}" for f in figures) + f" | {parse} |")
    return rows


def causal_tables(causal: Causal) -> list[str]:
    """The hidden score after each kind of gradient, and how far it was obeyed."""
    lines = ["| update with | hidden score |", "|---|---|"]
    lines += [f"| {name} | {value:.2f} |" for name, value in causal.hidden.items()]
    lines += ["", "| share | % |", "|---|---|"]
    return lines + [f"| {name} | {100 * value:.1f} |" for name, value in causal.shares.items()]


def outside_lines(pair: EmbeddedPair, count: int, seed: int) -> list[str]:
    """How the pair behaves on queries that it was not made for."""
    rng, method = random.Random(seed), tpo()
    courses = start(pair, method, [draw_query(rng) for _ in range(count)], 3)
    first = [c.text for course in courses for c in course.at(0)]
    step(pair, method, courses, 1, 3)
    later = [c.text for course in courses for c in course.at(1)]
    malformed = sum(course.malformed for course in courses) / (3 * count)
    return [
        f"| outside the world ({count} queries) | |", "|---|---|",
        f"| hidden score of the samples | {mean(map(hidden_outside, first)):.2f} |",
        f"| hidden score of the updates | {mean(map(hidden_outside, later)):.2f} |",
        f"| updates that do not parse, % | {100 * malformed:.1f} |",
        f"| characters of the longest answer | {max(map(len, first + later))} |",
    ]  # fmt: skip


def reward_lines(
    pair: EmbeddedPair, tasks: Sequence[Task], courses: Sequence[Course], seed: int
) -> list[str]:
    """How often the reward orders two responses as the hidden score does."""
    rng = random.Random(seed)
    synthetic = [synthetic_group(rng, held_out=True) for _ in range(300)]
    values = [pair.score([Query("", g.messages(0)[:-1])] * len(g.texts), g.texts) for g in synthetic]
    own = [
        Group(
            t.prompt, tuple(c.text for c in course.pool), tuple(hidden_score(t, c.text) for c in course.pool)
        )
        for t, course in zip(tasks, courses, strict=True)
    ]
    first = [
        Group(g.prompt, g.texts[: len(c.at(0))], g.hidden[: len(c.at(0))])
        for g, c in zip(own, courses, strict=True)
    ]
    shares = {
        "held-out synthetic pairs": accuracy(synthetic, values),
        "the policy's own first samples": accuracy(first, [[c.reward for c in x.at(0)] for x in courses]),
        "the policy's own samples and updates": accuracy(own, [[c.reward for c in x.pool] for x in courses]),
    }
    rows = [f"| {name} | {100 * share:.1f} |" for name, share in shares.items()]
    return ["| reward orders pairs rightly | % |", "|---|---|", *rows]


def evaluate(args: argparse.Namespace) -> list[str]:
    """Every table."""
    pair, rng = EmbeddedPair(args.folder), random.Random(args.seed)
    torch.manual_seed(args.seed)
    tasks = [draw_task(rng, held_out=True) for _ in range(args.queries)]
    lines = [
        "| method | step | reward, samples | reward, best | hidden, samples | hidden, best | do not parse |",
        "|---|---|---|---|---|---|---|",
    ]
    ran: dict[str, list[Course]] = {}
    for name in args.methods.split(","):
        method = EVALUATED[name]()
        ran[name] = start(pair, method, [task.prompt for task in tasks], args.samples)
        for number in range(1, args.depth + 1):
            step(pair, method, ran[name], number, args.samples)
        lines += steps_table(name, tasks, ran[name], args.depth)
    first = next(iter(ran.values()))
    lines += ["", *reward_lines(pair, tasks, first, args.seed)]
    few, method = tasks[: args.causal_queries], tpo()
    fresh = start(pair, method, [task.prompt for task in few], args.samples)
    criticise(pair, method, fresh)
    lines += [
        "",
        f"On {len(few)} of these queries:",
        "",
        *causal_tables(measure(pair, method, few, fresh, args.seed)),
    ]
    return [*lines, "", *outside_lines(pair, args.outside_queries, args.seed)]


def _header(args: argparse.Namespace) -> list[str]:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return [
        "# The embedded pair, measured on held-out queries", "",
        f"- date: {now}",
        f"- command: `python -m training.evaluate {shlex.join(sys.argv[1:])}`",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores, no GPU used",
        f"- Python {platform.python_version()}, torch {torch.__version__}",
        f"- transformers {transformers.__version__}",
        f"- {args.queries} queries, {args.samples} samples a step, seed {args.seed}",
        "- temperature 0.7, top-p 0.95",
        "- hidden score: 0 is faultless, each flaw lowers it",
        "",
    ]  # fmt: skip


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=policy_path().parent)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument(
        "--methods", default="tpo,revision,paper", help="methods, the first gives reward pairs"
    )
    parser.add_argument("--causal-queries", type=int, default=200)
    parser.add_argument("--outside-queries", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS / "pair.md")
    args = parser.parse_args()
    lines = _header(args) + evaluate(args)
    print("\n".join(lines))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
