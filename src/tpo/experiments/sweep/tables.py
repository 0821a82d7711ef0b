"""A sweep for people: one page of Markdown, the same table for LaTeX, and every number as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from tpo.counting import queries
from tpo.experiments.latex import latex_table
from tpo.experiments.tables import (
    SKEWED_NOTE,
    any_skewed,
    difference,
    estimate,
    markdown_table,
    md,
    number,
    outcomes,
)
from tpo.report.results import Results, Table

Record = Mapping[str, Any]

TINY_NOTE = (
    "The embedded pair made these runs. It is a toy that was trained for short messages: the numbers show"
    " that the machinery works, and nothing of what the method does for a large model."
)
PRICES = {"all": "read and written", "written": "written"}
ESTIMATES = ("first_sample", "best_first_sample", "answer", "held_out_first_sample", "held_out_answer")
"""Numbers of an arm that have an interval."""


def markdown(record: Record) -> str:
    """The page ``sweep.md``."""
    parts = [f"# Sweep: {md(record['policy'])} on {md(record['data']['source'])}", _about(record)]
    if record["tiny"]:
        parts.append(f"**{TINY_NOTE}**")
    parts.append(table(record))
    if record["at_equal_tokens"]:
        parts += ["## At equal tokens", equal_table(record)]
    if record["against"]:
        parts += ["## Methods of the same shape against each other", markdown_table(*_against(record))]
    failed = [cell for cell in record["cells"] if cell["error"] or cell["failed"]]
    if failed:
        parts += ["## What failed", "\n".join(f"- {_failure(cell)}" for cell in failed)]
    parts += [f"## {figure['title']}\n\n{_figure(figure)}" for figure in record["figures"]]
    parts += ["## Notes", "\n".join(f"- {md(note)}" for note in notes(record)), "## Runs", _runs(record)]
    return "\n\n".join(parts) + "\n"


def table(record: Record) -> str:
    """Every arm, in Markdown."""
    return markdown_table(*_table(record))


def equal_table(record: Record) -> str:
    """Each method against others at the tokens that it spent, in Markdown."""
    return markdown_table(*_equal(record))


def shown(record: Record) -> Results:
    """The same, for the report's page."""
    tables = [Table("Methods", *_table(record))]
    if record["at_equal_tokens"]:
        tables.append(Table("At equal tokens", *_equal(record)))
    if record["against"]:
        tables.append(Table("Methods of the same shape against each other", *_against(record)))
    toy = [TINY_NOTE] if record["tiny"] else []
    title = f"Sweep: {record['policy']} on {record['data']['source']}"
    return Results(title, [_counted(record)], tables, toy + notes(record))


def latex(record: Record) -> str:
    """Both tables for a paper, with ``booktabs``."""
    toy = [TINY_NOTE] if record["tiny"] else []
    title = f"{record['policy']} on {record['data']['source']}."
    tables = [latex_table(*_table(record), title, toy + notes(record))]
    if record["at_equal_tokens"]:
        tables.append(latex_table(*_equal(record), "At equal tokens: the first less the second."))
    return "\n\n".join(tables) + "\n"


def answers_rows(record: Record) -> list[list[Any]]:
    """``sweep.csv``: a row an arm, estimates with their intervals, behind a head."""
    plain = ("arm", "method", "iterations", "samples", "reward", "queries", "missing")
    costs = ("read", "written", "tokens", "calls")
    head = [*plain, "seeds", *(f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")), *costs]
    rows: list[list[Any]] = [head]
    for arm in record["arms"]:
        estimates = [arm[name] or {} for name in ESTIMATES]
        values = [each.get(part) for each in estimates for part in ("value", "low", "high")]
        seeds = " ".join(map(str, arm["seeds"]))
        rows.append([*(arm[name] for name in plain), seeds, *values, *(arm["a_query"][c] for c in costs)])
    return rows


def notes(record: Record) -> list[str]:
    """What must be known beside the numbers."""
    said = [
        "answer: mean reward of the final answers; first sample: of the unaligned model's",
        "intervals: 95%, bootstrap over queries, seeds averaged by query first",
        "arms of one reward are compared on the queries that all of them finished under every seed",
        "p: two-sided, by swapping the two answers of a query, not corrected for being several",
        "tokens and calls: the policy's, a query, critiques included; a sample or a critique is one call",
    ]
    if record["at_equal_tokens"]:
        said += [
            "equal tokens: best-of-n is the expected best of n of one pool",
            "budget mean: one n or step for all queries, so that the mean query spends the budget",
            "budget cap: no query spends more than the budget, neither the first method's nor the second's",
        ]
    short = [row for row in record["at_equal_tokens"] if _is_best_of_n(row) and not row["covered"]]
    if short:
        needed = max((row["needed"] or 0.0 for row in short), default=0.0)
        advice = f"--pool {ceil(needed)} would reach all" if needed else "a larger --pool reaches further"
        said.append(f"best-of-n ended before the budget {len(short):,} times: {advice}")
    if record["shared_calls"]:
        said.append("calls that cells have in common were made once, and are counted in each")
    if record["held_out_reward"]:
        said.append(f"held-out: {record['held_out_reward']}, which guided nothing")
    if record["held_out_missed"]:
        said.append(
            f"{record['held_out_missed']:,} responses got no held-out score; no such mean holds their queries"
        )
    if record["held_out_error"]:
        said.append(f"the held-out reward stopped: {record['held_out_error']}")
    said += _missing_notes(record)
    return said + ([SKEWED_NOTE] if any_skewed(record["arms"]) or any_skewed(record["against"]) else [])


def _missing_notes(record: Record) -> Iterator[str]:
    missing = sum(arm["missing"] for arm in record["arms"])
    if missing:
        yield f"{missing:,} queries are not finished under every seed of their arm, and in none of its means"
    asked = len(record["data"]["ids"])
    for reward in record["rewards"]:
        of = f" under {reward}" if len(record["rewards"]) > 1 else ""
        counts = {arm["queries"] for arm in record["arms"] if arm["reward"] == reward and not arm["apart"]}
        if counts and counts != {asked}:
            yield f"the numbers{of} are of {max(counts):,} of {queries(asked)}"
    for arm in record["arms"]:
        if arm["apart"]:
            own = queries(arm["queries"])
            yield f"{arm['arm']} ({arm['reward']}) stands apart: its numbers are of its own {own}"
        runs = [cell for cell in record["cells"] if _is_of(cell, arm)]
        silent = [str(cell["seed"]) for cell in runs if not cell["finished"]]
        if silent and len(runs) > 1:
            seeds = ", ".join(silent)
            yield f"{arm['arm']} ({arm['reward']}): nothing of seed {seeds} is finished, so no query counts"


def _is_of(cell: Record, arm: Record) -> bool:
    return (cell.get("arm"), cell.get("reward")) == (arm["arm"], arm["reward"])


def _about(record: Record) -> str:
    page = record["page"]
    return md(_counted(record)) + (f" Every answer: [{page}]({page})." if page else "")


def _counted(record: Record) -> str:
    count, cells = len(record["data"]["ids"]), len(record["cells"])
    seeds, rewards = ", ".join(map(str, record["seeds"])), ", ".join(record["rewards"])
    return f"{queries(count)}, {cells:,} runs, seeds {seeds}; reward {rewards}."


def _table(record: Record) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    several, checks = len(record["rewards"]) > 1, record["held_out_reward"] is not None
    head = ["method", *(["reward"] if several else []), "first sample", "answer"]
    head += [
        *(["held-out, first", "held-out, answer"] if checks else []),
        "tokens",
        "written",
        "calls",
        "queries",
    ]
    rows = []
    for arm in record["arms"]:
        row = [arm["arm"], *([arm["reward"]] if several else [])]
        row += [estimate(arm["first_sample"], around=False), estimate(arm["answer"])]
        if checks:
            row += [estimate(arm["held_out_first_sample"], around=False), estimate(arm["held_out_answer"])]
        row += [number(arm["a_query"][name], 0) for name in ("tokens", "written", "calls")]
        rows.append((*row, f"{arm['queries']:,}" + (", apart" if arm["apart"] else "")))
    return tuple(head), rows


def _equal(record: Record) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    several = len(record["rewards"]) > 1
    head = ["method", *(["reward"] if several else []), "less", "tokens", "budget", "spent", "at"]
    rows = []
    for row in record["at_equal_tokens"]:
        budget = number(row["budget"], 0)
        spent = (
            budget
            if row["covered"] and row["kind"] == "mean"
            else f"{budget}, its own {number(row['spent'], 0)}"
        )
        cells = [row["first"], *([row["reward"]] if several else []), row["second"]]
        cells += [PRICES[row["price"]], row["kind"], spent, _place(row)]
        rows.append((*cells, *difference(row["paired"])))
    return (*head, "difference", "p"), rows


def _place(row: Record) -> str:
    """Return where the second curve is taken; of one that ends before the budget, its end."""
    if row["kind"] == "cap" and not row["covered"]:
        return f"needs n {number(row['needed'], 0)}"
    place = f"{'n' if _is_best_of_n(row) else 'step'} {number(row['place'], 1)}"
    return place if row["covered"] else f"{place}, its end"


def _is_best_of_n(row: Record) -> bool:
    return str(row["second"]).startswith("best-of-n")


def _against(record: Record) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    several = len(record["rewards"]) > 1
    rows = [
        (
            f"{row['first']} less {row['second']}",
            *([row["reward"]] if several else []),
            *difference(row["paired"]),
            outcomes(row["paired"]),
        )
        for row in record["against"]
    ]
    return ("answers", *(["reward"] if several else []), "difference", "p", "wins, ties, losses"), rows


def _failure(cell: Record) -> str:
    if cell["error"]:
        return f"{cell['run']}: {md(cell['error'])}"
    return f"{cell['run']}: {queries(cell['failed'])} failed; the same command tries them again"


def _figure(figure: Record) -> str:
    title = md(figure["title"])
    return f"![{title}](figures/{figure['name']}.svg)\n\n{md(figure['caption'])}"


def _runs(record: Record) -> str:
    """Each run, and the command that shows it."""
    return "\n".join(_run_lines(record["cells"]))


def _run_lines(cells: Sequence[Record]) -> Iterator[str]:
    yield "Each is an ordinary run; `tpo report RUN` and `tpo view RUN` show it.\n"
    for cell in cells:
        yield f"- [{cell['run']}]({cell['run']}): {cell['finished']:,} finished, {cell['failed']:,} failed"
