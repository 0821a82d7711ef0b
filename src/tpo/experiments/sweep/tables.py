"""A sweep for people: one page of Markdown, the same table for LaTeX, and every number as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from tpo.counting import queries
from tpo.experiments.latex import latex_table
from tpo.experiments.tables import DASH, markdown_table, md, number, signed
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
    head, rows = _table(record)
    caption = f"{record['policy']} on {record['data']['source']}: {'; '.join(notes(record))}."
    tables = [latex_table(head, rows, f"{TINY_NOTE} {caption}" if record["tiny"] else caption)]
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
        "p: two-sided by sign flips, paired by query, not corrected for being several",
        "tokens and calls: the policy's, a query, critiques included; a sample or a critique is one call",
    ]
    if record["at_equal_tokens"]:
        said.append(
            "equal tokens: best-of-n is the expected best of n of one pool, between whole n a straight line;"
            " so is another method between its steps"
        )
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
    missing = sum(arm["missing"] for arm in record["arms"])
    if missing:
        said.append(
            f"{missing:,} queries are not finished under every seed of their arm, and in none of its means"
        )
    return said


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
        rows.append((*row, f"{arm['queries']:,}"))
    return tuple(head), rows


def _equal(record: Record) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    several = len(record["rewards"]) > 1
    head = ["method", *(["reward"] if several else []), "less", "tokens", "spent", "at", "difference", "p"]
    rows = []
    for row in record["at_equal_tokens"]:
        place = f"{'n' if _is_best_of_n(row) else 'step'} {number(row['place'], 1)}"
        spent = (
            number(row["budget"], 0)
            if row["covered"]
            else f"{number(row['budget'], 0)}, its own {number(row['spent'], 0)}"
        )
        cells = [row["first"], *([row["reward"]] if several else []), row["second"]]
        cells += [PRICES[row["price"]], spent, place if row["covered"] else f"{place}, its end"]
        rows.append((*cells, *_difference(row["paired"])))
    return tuple(head), rows


def _is_best_of_n(row: Record) -> bool:
    return str(row["second"]).startswith("best-of-n")


def _against(record: Record) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    several = len(record["rewards"]) > 1
    rows = [
        (
            f"{row['first']} less {row['second']}",
            *([row["reward"]] if several else []),
            *_difference(row["paired"]),
            ", ".join(f"{row['paired'][name]:,}" for name in ("wins", "ties", "losses")),
        )
        for row in record["against"]
    ]
    return ("answers", *(["reward"] if several else []), "difference", "p", "wins, ties, losses"), rows


def _difference(paired: Record) -> tuple[str, str]:
    by = paired["difference"]
    return f"{signed(by['value'])} [{signed(by['low'])}, {signed(by['high'])}]", number(paired["p"], 4)


def estimate(value: Record | None, *, around: bool = True) -> str:
    """``1.25 [1.10, 1.40]``; a dash for none."""
    if value is None:
        return DASH
    interval = f" [{number(value['low'])}, {number(value['high'])}]"
    return f"{number(value['value'])}{interval if around and value['low'] is not None else ''}"


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
