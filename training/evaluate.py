"""Measure the shipped pair on held-out queries: ``python -m training.evaluate``.

Prints the tables as Markdown, and writes them with machine, versions, date and command to
``training/results/``. Every interval is one of 95 %, over queries.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import shlex
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev

import torch
import transformers

import tpo
from tpo.methods.catalog import bon, revision
from tpo.methods.catalog import tpo as tpo_method
from tpo.types import Candidate, Query
from training.causal import Causal, measure
from training.critique import RIGHT, examine
from training.hidden import hidden_outside, hidden_score
from training.outside import draw_query
from training.preferences import accuracy, group_of, synthetic_group
from training.rounds import Course, EmbeddedPair, criticise, revise, start, step
from training.world import Task, draw_task, read

DEPTH, SAMPLES, POOL = 2, 5, 90
"""Iterations, responses in each, and first samples of a query for best-of-n."""
COMPARED, OUTSIDE, LAYOUT = 150, 30, 5
"""Queries for ``revision``, without details, and for each layout."""
RESULTS, SHIPPED = Path(__file__).parent / "results", Path(tpo.__file__).parent / "tiny"
LAYOUTS = (
    "tpo", "revision", "paper", "paper-revision", "fused", "textgrad", "multi-loss", "feedback-history",
    "fusion", "aggregate", "tmpc", "ab-mcts",
)  # fmt: skip
"""The methods with prompts of their own."""
STEPS = (
    "method", "step", "reward, samples", "reward, best", "hidden, samples", "hidden, best",
    "rise of the samples' reward", "do not parse",
)  # fmt: skip


def interval(values: Sequence[float]) -> str:
    """The mean of *values* with its 95 % interval."""
    half = 1.96 * stdev(values) / len(values) ** 0.5
    return f"{mean(values):+.2f} ({mean(values) - half:+.2f} to {mean(values) + half:+.2f})"


def percent(values: Sequence[float]) -> str:
    """The mean of *values* in percent with its 95 % interval."""
    half = 1.96 * stdev(values) / len(values) ** 0.5
    low, high = max(0.0, mean(values) - half), min(1.0, mean(values) + half)
    return f"{100 * mean(values):.1f} ({100 * low:.1f} to {100 * high:.1f})"


def table(*heads: str) -> list[str]:
    """The first two lines of a table."""
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]


def steps_lines(name: str, tasks: Sequence[Task], courses: Sequence[Course], depth: int) -> list[str]:
    """Mean reward and hidden score of the samples and of the pool's best, by step, and the samples' rise."""
    rows: list[str] = []
    last: list[float] = []
    for number in range(depth + 1):
        samples = [mean(c.reward for c in course.at(number) or course.pool) for course in courses]
        hidden = [
            mean(hidden_score(task, c.text) for c in course.at(number) or course.pool)
            for task, course in zip(tasks, courses, strict=True)
        ]
        best = [course.best(number) for course in courses]
        figures = (
            mean(samples), mean(c.reward for c in best),
            mean(hidden), mean(hidden_score(t, c.text) for t, c in zip(tasks, best, strict=True)),
        )  # fmt: skip
        rise = interval([b - a for a, b in zip(last, samples, strict=True)]) if last else ""
        written = sum(course.malformed + len(course.pool) - len(course.at(0)) for course in courses)
        malformed = sum(course.malformed for course in courses) / max(1, written)
        parse = f"{100 * malformed:.2f} %" if number == depth else ""
        cells = (name, str(number), *(f"{figure:.2f}" for figure in figures), rise, parse)
        rows.append(f"| {' | '.join(cells)} |")
        last = samples
    return rows


def chosen_within(course: Course, lengths: Sequence[int], budget: int) -> Candidate:
    """The best by the reward of as many first samples, of *lengths* tokens, as *budget* tokens allow."""
    count = max(1, sum(total <= budget for total in accumulate(lengths)))
    return max(course.pool[:count], key=lambda candidate: candidate.reward)


def draw_pools(folder: Path, prompts: Sequence[str], count: int, seed: int) -> list[Course]:
    """*count* first samples of every query with their rewards; runs in a process of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return start(EmbeddedPair(folder), bon(), prompts, count)


def equal_lines(
    pair: EmbeddedPair, tasks: Sequence[Task], loop: Sequence[Course], many: Sequence[Course], depth: int
) -> list[str]:
    """The loop's answer and that of best-of-n with as many tokens, query by query."""
    lengths = [[pair.length(c.text) for c in course.pool] for course in many]
    own = [hidden_score(t, c.best(depth).text) for t, c in zip(tasks, loop, strict=True)]
    lines = table("tokens per query", "loop", "best-of-n", "n", "loop - best-of-n", "pool too small, %")
    budgets: dict[str, Callable[[Course, Course], int]] = {
        "prompt and completion": lambda a, b: a.prompt_tokens + a.completion_tokens - b.prompt_tokens,
        "completion": lambda a, _: a.completion_tokens,
    }
    for name, budget in budgets.items():
        limits = [budget(a, b) for a, b in zip(loop, many, strict=True)]
        picks = [chosen_within(c, x, m) for c, x, m in zip(many, lengths, limits, strict=True)]
        n = mean(sum(s <= m for s in accumulate(x)) for x, m in zip(lengths, limits, strict=True))
        other = [hidden_score(t, c.text) for t, c in zip(tasks, picks, strict=True)]
        gaps = [a - b for a, b in zip(own, other, strict=True)]
        tokens = mean(limits) + (mean(b.prompt_tokens for b in many) if name != "completion" else 0)
        capped = 100 * mean(sum(x) < m for x, m in zip(lengths, limits, strict=True))
        cells = (
            f"{name}: {tokens:.0f}", f"{mean(own):.2f}", f"{mean(other):.2f}", f"{n:.0f}", interval(gaps),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} | {capped:.0f} |")
    lines += ["", *table("best-of-n by the reward: n", "reward", "hidden score")]
    size = 1
    while size <= len(many[0].pool):
        best = [max(course.pool[:size], key=lambda c: c.reward) for course in many]
        worth = mean(hidden_score(t, c.text) for t, c in zip(tasks, best, strict=True))
        lines.append(f"| {size} | {mean(c.reward for c in best):.2f} | {worth:.2f} |")
        size *= 4
    return lines


def causal_lines(causal: Causal) -> list[str]:
    """The hidden score after each kind of gradient, and how far it was obeyed."""
    before = causal.hidden["before"]
    lines = table("update with", "hidden score", "gain")
    for name, values in causal.hidden.items():
        gain = interval([b - a for a, b in zip(before, values, strict=True)]) if name != "before" else ""
        lines.append(f"| {name} | {mean(values):.2f} | {gain} |")
    lines += ["", *table("share", "%")]
    return lines + [f"| {name} | {percent(values)} |" for name, values in causal.shares.items()]


def draft_lines(tasks: Sequence[Task], courses: Sequence[Course]) -> list[str]:
    """Faults of the first samples."""
    pairs = zip(tasks, courses, strict=True)
    found = [[examine(task, read(c.text)) for c in course.at(0)] for task, course in pairs]
    flaws = [mean(len(each.flaws) for each in group) for group in found]
    wrong = [mean(item.verdict != RIGHT for each in group for item in each.items) for group in found]
    return [
        *table("first samples", ""),
        f"| faults of a sample | {interval(flaws)} |",
        f"| details wrong or missing, % | {percent(wrong)} |",
    ]


def outside_lines(pair: EmbeddedPair, count: int, seed: int) -> list[str]:
    """Measures of the answers to queries without details, from the generator of the training."""
    rng, method = random.Random(seed), tpo_method()
    courses = start(pair, method, [draw_query(rng) for _ in range(count)], 3)
    first = [c.text for course in courses for c in course.at(0)]
    step(pair, method, courses, 1, 3)
    later = [c.text for course in courses for c in course.at(1)]
    malformed = sum(course.malformed for course in courses) / (3 * count)
    return [
        *table(f"outside the world ({count} queries)", ""),
        f"| hidden score of the samples | {mean(map(hidden_outside, first)):.2f} |",
        f"| hidden score of the updates | {mean(map(hidden_outside, later)):.2f} |",
        f"| updates that do not parse, % | {100 * malformed:.1f} |",
        f"| characters of the longest answer | {max(map(len, first + later))} |",
    ]


def reward_lines(
    pair: EmbeddedPair, tasks: Sequence[Task], courses: Sequence[Course], seed: int
) -> list[str]:
    """The share of pairs of responses that the reward orders as the hidden score does."""
    rng = random.Random(seed)
    synthetic = [synthetic_group(rng, held_out=True) for _ in range(300)]
    values = [pair.score([Query("", g.messages(0)[:-1])] * len(g.texts), g.texts) for g in synthetic]
    shares = {"held-out synthetic pairs": accuracy(synthetic, values)}
    own = [course.at(0) for course in courses]
    groups = [group_of(t, [c.text for c in part]) for t, part in zip(tasks, own, strict=True)]
    shares["the policy's own first samples"] = accuracy(groups, [[c.reward for c in part] for part in own])
    lines = table("reward orders pairs rightly", "%")
    return lines + [f"| {name} | {100 * share:.1f} |" for name, share in shares.items()]


async def layout_lines(folder: Path, tasks: Sequence[Task], seed: int) -> list[str]:
    """Each layout by the package itself: first samples, answer, and updates that cannot be read."""
    policy, reward = tpo.load_policy(f"hf:{folder / 'policy'}"), tpo.load_reward(f"hf:{folder / 'reward'}")
    lines = table(f"method, on {len(tasks)} queries", "hidden, samples", "hidden, answer", "do not parse")
    for name in LAYOUTS:
        method = tpo.build_method(name, sample_size=3, max_iterations=1)
        optimizer = tpo.Optimizer(policy, reward, method, seed=seed)
        first, answers, lost, written = [], [], 0, 0
        for task in tasks:
            trajectory = await optimizer.optimize(task.prompt)
            first += [hidden_score(task, c.text) for c in trajectory.first.candidates]
            answers.append(hidden_score(task, trajectory.answer))
            unreadable = sum(len(each.unreadable) for each in trajectory.steps)
            lost += unreadable
            written += unreadable + sum(len(each.candidates) for each in trajectory.steps)
        lines.append(f"| {name} | {mean(first):.2f} | {mean(answers):.2f} | {lost} of {written} |")
    return lines


def evaluate(args: argparse.Namespace) -> list[str]:
    """Every table."""
    pair, rng = EmbeddedPair(args.folder), random.Random(args.seed)
    torch.manual_seed(args.seed)
    tasks = [draw_task(rng, held_out=True) for _ in range(args.queries)]
    prompts, method, depth = [task.prompt for task in tasks], tpo_method(), DEPTH
    other_core = ProcessPoolExecutor(1, get_context("spawn"))
    pools = other_core.submit(draw_pools, args.folder, prompts, POOL, args.seed + 1)
    loop = start(pair, method, prompts, SAMPLES)
    criticise(pair, method, loop)
    spent = [(course.prompt_tokens, course.completion_tokens) for course in loop]
    causal = causal_lines(measure(pair, method, tasks, loop, args.seed))
    for course, tokens in zip(loop, spent, strict=True):
        course.prompt_tokens, course.completion_tokens = tokens
    _progress(causal)
    revise(pair, method, loop, 1, SAMPLES)
    for number in range(2, depth + 1):
        step(pair, method, loop, number, SAMPLES)
    lines = [*table(*STEPS), *steps_lines("tpo", tasks, loop, depth)]
    _progress(lines)
    lines += ["", *draft_lines(tasks, loop), "", *reward_lines(pair, tasks, loop, args.seed)]
    lines += ["", "The chosen drafts of step 1:", "", *causal]
    few = tasks[:COMPARED]
    other = start(pair, revision(), prompts[: len(few)], SAMPLES)
    for number in range(1, depth + 1):
        step(pair, revision(), other, number, SAMPLES)
    gaps = [
        hidden_score(t, a.best(depth).text) - hidden_score(t, b.best(depth).text)
        for t, a, b in zip(few, loop, other, strict=False)
    ]
    lines += ["", f"On {len(few)} of these queries:", "", *table(*STEPS)]
    lines += steps_lines("revision", few, other, depth)
    lines += ["", f"Hidden score of the answer at step {depth}, tpo less revision: {interval(gaps)}"]
    _progress(lines)
    lines += [
        "",
        "The loop and best-of-n with as many tokens (a prompt counts once for all its answers):",
        "",
    ]
    lines += equal_lines(pair, tasks, loop, pools.result(), depth)
    lines += ["", *outside_lines(pair, OUTSIDE, args.seed)]
    _progress(lines)
    return [*lines, "", *asyncio.run(layout_lines(args.folder, tasks[:LAYOUT], args.seed))]


def _progress(lines: Sequence[str]) -> None:
    """Show what there is so far."""
    print("\n".join(lines[-12:]), file=sys.stderr, flush=True)


def _header(args: argparse.Namespace) -> list[str]:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return [
        f"# {args.title}, measured on held-out queries", "",
        f"- date: {now}",
        f"- command: `{shlex.join(['python', '-m', 'training.evaluate', *sys.argv[1:]])}`",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}",
        f"- torch {torch.__version__}, transformers {transformers.__version__}",
        f"- {args.queries} queries, {SAMPLES} samples a step, seed {args.seed}; temperature 0.7, top-p 0.95",
        "- hidden score: 0 is faultless, a wrong detail costs 1, a missing line 0.8",
        "- intervals of 95 %, over queries; differences are paired",
        "",
    ]  # fmt: skip


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--title", default="The embedded pair")
    parser.add_argument(
        "--out", type=Path, help="the file of the tables; of another folder: results.md there"
    )
    args = parser.parse_args()
    args.out = args.out or (RESULTS / "pair.md" if args.folder == SHIPPED else args.folder / "results.md")
    lines = _header(args) + evaluate(args)
    print("\n".join(lines))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
