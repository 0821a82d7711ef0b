"""Tables of a sweep: a Markdown page, LaTeX tables, tables for the report's page, and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from tpo.experiments.latex import latex_table
from tpo.experiments.sweep.comparison_tables import (
    against_rows,
    budget_rows,
    equal_cost_rows,
    format_cost,
    is_best_of_n,
    shown,
)
from tpo.experiments.tables import (
    SKEWED_NOTE,
    any_skewed,
    escape_markdown,
    format_estimate,
    format_number,
    markdown_table,
)
from tpo.plurals import queries
from tpo.report.overview import TINY_NOTE
from tpo.report.results import Results, Table

Record = Mapping[str, Any]

ESTIMATES = ("first_sample", "best_first_sample", "answer", "held_out_first_sample", "held_out_answer")
"""Numbers of an arm that have an interval."""
BUDGETS = "All methods at fixed budgets"
AGAINST = "Methods with the same shape against each other"


def sweep_page(record: Record) -> str:
    """Return the page ``sweep.md``."""
    parts = [f"# {escape_markdown(_title(record))}", _about(record)]
    if record["tiny"]:
        parts.append(f"**{TINY_NOTE}**")
    parts.append(sweep_table(record))
    if record["at_equal_cost"]:
        parts += ["## At equal cost", equal_cost_table(record)]
    if record["at_budgets"]:
        parts += [f"## {BUDGETS}", budgets_table(record)]
    if record["against"]:
        parts += [f"## {AGAINST}", markdown_table(*against_rows(record))]
    failed = [cell for cell in record["cells"] if cell["error"] or cell["failed"]]
    if failed:
        parts += ["## Failures", "\n".join(f"- {_failure(cell)}" for cell in failed)]
    parts += [f"## {figure['title']}\n\n{_figure(figure)}" for figure in record["figures"]]
    parts += ["## Notes", "\n".join(f"- {escape_markdown(note)}" for note in sweep_notes(record))]
    parts += ["## Runs", _runs(record)]
    return "\n\n".join(parts) + "\n"


def sweep_table(record: Record) -> str:
    """Return the table of all arms in Markdown."""
    return markdown_table(*_table(record))


def equal_cost_table(record: Record) -> str:
    """Return the comparisons at equal cost in Markdown."""
    return markdown_table(*equal_cost_rows(record))


def budgets_table(record: Record) -> str:
    """Return the methods at fixed budgets in Markdown."""
    return markdown_table(*budget_rows(record))


def sweep_report_tables(record: Record) -> Results:
    """Return the tables for the report's page."""
    tables = [Table("Methods", *_table(record))]
    if record["at_equal_cost"]:
        tables.append(Table("At equal cost", *equal_cost_rows(record)))
    if record["at_budgets"]:
        tables.append(Table(BUDGETS, *budget_rows(record)))
    if record["against"]:
        tables.append(Table(AGAINST, *against_rows(record)))
    return Results(_title(record), [_counts(record)], tables, _tiny_note(record) + sweep_notes(record))


def sweep_latex(record: Record) -> str:
    """Return both tables for LaTeX with ``booktabs``."""
    title = f"{record['policy']} on {record['data']['source']}."
    tables = [latex_table(*_table(record), title, _tiny_note(record) + sweep_notes(record))]
    if record["at_equal_cost"]:
        tables.append(latex_table(*equal_cost_rows(record), "At equal cost: the first minus the second."))
    return "\n\n".join(tables) + "\n"


def csv_rows(record: Record) -> list[list[Any]]:
    """Return the rows of ``sweep.csv``: a header, then one row per arm with estimates and intervals."""
    plain = ("arm", "method", "iterations", "samples", "reward", "queries", "missing")
    costs = (
        "read",
        "written",
        "tokens",
        "calls",
        "seconds",
        *(each["name"] for each in _further_costs(record)),
    )
    head = [*plain, "seeds", *(f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")), *costs]
    rows: list[list[Any]] = [head]
    for arm in record["arms"]:
        estimates = [arm[name] or {} for name in ESTIMATES]
        values = [each.get(part) for each in estimates for part in ("value", "low", "high")]
        seeds = " ".join(map(str, arm["seeds"]))
        rows.append([*(arm[name] for name in plain), seeds, *values, *(arm["a_query"].get(c) for c in costs)])
    return rows


def sweep_notes(record: Record) -> list[str]:
    """Return the notes that explain the numbers."""
    notes = [
        "answer: mean reward of the final answers; first sample: mean reward of the unaligned answers",
        "intervals: 95%, bootstrap over queries, after averaging the seeds of a query",
        "arms with the same reward are compared on the queries that all of them finished with every seed",
        "p: two-sided, from swapping the two answers of a query, adjusted for all tests of its table (Holm)",
        "tokens and calls: of the policy, per query, including critiques; a sample or a critique is one call",
    ]
    if record["at_equal_cost"]:
        notes += [
            "equal cost: best-of-n is the expected best of n of one pool",
            "budget mean: the same n or step for all queries, so that the mean query costs the budget",
            "budget cap: no query of either method costs more than the budget",
        ]
    for name in ("at_equal_cost", "against"):
        hidden = len(record[name]) - len(shown(record[name]))
        if hidden:
            notes.append(f"{hidden:,} further comparisons are in sweep.json, under {name}, with p unadjusted")
    notes += _short_pool_notes(record)
    if _has_seconds(record):
        notes.append("seconds: from a query's start to its end, beside all others in flight")
        again = sum(1 for cell in record["cells"] if cell.get("starts", 1) > 1)
        if again:
            notes.append(
                f"seconds are too low for {again:,} runs that were interrupted: --fresh repeats them"
            )
    if record["shared_calls"]:
        notes.append("calls that cells have in common were made once and are counted in each cell")
    if record["held_out_reward"]:
        notes.append(f"held-out reward: {record['held_out_reward']}, which guided no run")
    if record["held_out_missed"]:
        notes.append(
            "responses without a held-out score, whose queries are in no held-out mean: "
            f"{record['held_out_missed']:,}"
        )
    if record["held_out_error"]:
        notes.append(f"the held-out reward stopped: {record['held_out_error']}")
    notes += [f"warning: {text}" for text in record.get("effect", ())]
    notes += _missing_notes(record)
    return notes + ([SKEWED_NOTE] if any_skewed(record["arms"]) or any_skewed(record["against"]) else [])


def _short_pool_notes(record: Record) -> Iterator[str]:
    ends = [row for row in record["at_equal_cost"] if is_best_of_n(row) and not row["covered"]]
    short = [row for row in ends if not row["unpaid"]]
    if short:
        needed = max(row["needed"] or 0.0 for row in short)
        advice = f"--pool {ceil(needed)} would cover all" if needed else "a larger --pool covers more"
        yield f"best-of-n ended before the budget {len(short):,} times: {advice}"


def _missing_notes(record: Record) -> Iterator[str]:
    missing = sum(arm["missing"] for arm in record["arms"])
    if missing:
        yield f"not finished with every seed of their arm, and in no mean: {queries(missing)}"
    total = len(record["data"]["ids"])
    for reward in record["rewards"]:
        of = f" under {reward}" if len(record["rewards"]) > 1 else ""
        counts = {arm["queries"] for arm in record["arms"] if arm["reward"] == reward and not arm["apart"]}
        if counts and counts != {total}:
            yield f"the numbers{of} cover {max(counts):,} of {queries(total)}"
    for arm in record["arms"]:
        if arm["apart"]:
            own = queries(arm["queries"])
            yield f"{arm['arm']} ({arm['reward']}) is not compared: its numbers cover its own {own}"
        runs = [cell for cell in record["cells"] if _belongs_to(cell, arm)]
        empty = [str(cell["seed"]) for cell in runs if not cell["finished"]]
        if empty and len(runs) > 1:
            seeds = ", ".join(empty)
            yield f"{arm['arm']} ({arm['reward']}): seed {seeds} has no finished query, so no query counts"


def _belongs_to(cell: Record, arm: Record) -> bool:
    return (cell.get("arm"), cell.get("reward")) == (arm["arm"], arm["reward"])


def _title(record: Record) -> str:
    return f"Sweep: {record['policy']} on {record['data']['source']}"


def _tiny_note(record: Record) -> list[str]:
    return [TINY_NOTE] if record["tiny"] else []


def _about(record: Record) -> str:
    page = record["page"]
    return escape_markdown(_counts(record)) + (f" All answers: [{page}]({page})." if page else "")


def _counts(record: Record) -> str:
    count, cells = len(record["data"]["ids"]), len(record["cells"])
    seeds, rewards = ", ".join(map(str, record["seeds"])), ", ".join(record["rewards"])
    return f"{queries(count)}, {cells:,} runs, seeds {seeds}, reward {rewards}."


def _table(record: Record) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    several, checks = len(record["rewards"]) > 1, record["held_out_reward"] is not None
    head = ["method", *(["reward"] if several else []), "first sample", "answer"]
    head += [
        *(["held-out, first", "held-out, answer"] if checks else []),
        "tokens",
        "completion tokens",
        "calls",
        *(each["label"] for each in _further_costs(record)),
        *(["seconds"] if _has_seconds(record) else []),
        "queries",
    ]
    rows = []
    for arm in record["arms"]:
        row = [arm["arm"], *([arm["reward"]] if several else [])]
        row += [format_estimate(arm["first_sample"], interval=False), format_estimate(arm["answer"])]
        if checks:
            row.append(format_estimate(arm["held_out_first_sample"], interval=False))
            row.append(format_estimate(arm["held_out_answer"]))
        row += [format_number(arm["a_query"][name], 0) for name in ("tokens", "written", "calls")]
        row += [format_cost(arm["a_query"].get(each["name"]) or 0.0) for each in _further_costs(record)]
        row += [format_number(arm["a_query"]["seconds"], 2)] if _has_seconds(record) else []
        rows.append((*row, f"{arm['queries']:,}" + (", not compared" if arm["apart"] else "")))
    return tuple(head), rows


def _further_costs(record: Record) -> list[Record]:
    """Return the cost measures that have no column of their own."""
    return [each for each in record["costs"] if each["name"] not in ("tokens", "written", "calls", "seconds")]


def _has_seconds(record: Record) -> bool:
    return any(arm["a_query"]["seconds"] is not None for arm in record["arms"])


def _failure(cell: Record) -> str:
    if cell["error"]:
        return f"{cell['run']}: {escape_markdown(cell['error'])}"
    return f"{cell['run']}: {queries(cell['failed'])} failed; the same command retries them"


def _figure(figure: Record) -> str:
    title = escape_markdown(figure["title"])
    return f"![{title}](figures/{figure['name']}.svg)\n\n{escape_markdown(figure['caption'])}"


def _runs(record: Record) -> str:
    """Return the list of runs."""
    return "\n".join(_run_lines(record["cells"]))


def _run_lines(cells: Sequence[Record]) -> Iterator[str]:
    yield "Show a run with `tpo report RUN` or `tpo view RUN`.\n"
    for cell in cells:
        yield f"- [{cell['run']}]({cell['run']}): {cell['finished']:,} finished, {cell['failed']:,} failed"
