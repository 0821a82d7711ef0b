"""Tables of a benchmark: a Markdown page, a LaTeX table, and tables for the report's page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tpo.config.settings import TINY
from tpo.experiments.bench.plan import AFTER, BEFORE
from tpo.experiments.latex import latex_table
from tpo.experiments.tables import (
    COMPARISON_HEAD,
    SKEWED_NOTE,
    any_skewed,
    comparison_cells,
    decimals,
    escape_markdown,
    format_difference,
    format_metric,
    format_number,
    format_signed,
    markdown_table,
)
from tpo.plurals import queries
from tpo.report.overview import TINY_NOTE
from tpo.report.results import Results, Table

Record = Mapping[str, Any]

HEAD = ("method", "metric", "before", "after", "change", "p", "graded", "by")
PAPER_HEAD = ("answers", "metric", "ours", "paper", "difference", "the paper's row", "note")
AGAINST_HEAD = ("final answers", *COMPARISON_HEAD)
SEED_HEAD = ("method", "seed", "before", "after")
KIND_HEAD = ("method", "kind", "mean score before", "after", "graded")


def bench_page(record: Record) -> str:
    """Return the page ``results.md``."""
    parts = [
        f"# {record['benchmark']['title']}: {escape_markdown(record['policy'])}",
        _about(record),
        _bench_table(record),
    ]
    if len(record["methods"]) > 1:
        parts += ["## Methods against each other", markdown_table(AGAINST_HEAD, _against_rows(record))]
    paper_rows = list(_paper_rows(record))
    if record["paper"] is not None:
        parts += ["## Compared with the paper", f"{record['paper']}."]
        parts.append(
            markdown_table(PAPER_HEAD, paper_rows) if paper_rows else "Its table has no matching row."
        )
    parts += ["## Notes", "\n".join(f"- {escape_markdown(note)}" for note in bench_notes(record))]
    return "\n\n".join(parts) + "\n"


def _bench_table(record: Record) -> str:
    """Return the metrics of every method in Markdown, the leading metric first."""
    return markdown_table(HEAD, list(_rows(record)))


def bench_report_tables(record: Record) -> Results:
    """Return the tables for the report's page, with metrics by seed and by kind of query."""
    tables = [Table("Methods", HEAD, list(_rows(record)))]
    for title, head, rows in (
        ("Methods against each other", AGAINST_HEAD, _against_rows(record)),
        ("Compared with the paper", PAPER_HEAD, list(_paper_rows(record))),
        ("By seed", SEED_HEAD, list(_seed_rows(record))),
        ("By kind", KIND_HEAD, list(_kind_rows(record))),
    ):
        tables += [Table(title, head, rows)] if rows else []
    title = f"{record['benchmark']['title']}: {record['policy']}"
    return Results(title, _about_lines(record), tables, bench_notes(record))


def bench_latex(record: Record) -> str:
    """Return the table for LaTeX with ``booktabs``."""
    caption = f"{record['benchmark']['title']}, {record['policy']}."
    rows = [row[:6] for row in _rows(record)]
    return latex_table(HEAD[:6], rows, caption, bench_notes(record)) + "\n"


def bench_notes(record: Record) -> list[str]:
    """Return the notes that explain the numbers."""
    notes = [
        "before: the first sample of the unaligned policy; after: the method's final answer",
        "numbers are over queries, after averaging seeds; methods are compared on the same queries",
        "intervals: 95%; Wilson's for right or wrong answers, bootstrap over queries for others",
        "change: after minus before, paired by query",
        "p: two-sided, from swapping the two sides of a query, adjusted for all tests of its table (Holm)",
        f"reward {record['reward']}",
    ]
    notes += [TINY_NOTE] if TINY in (*record["settings"]["policy"], *record["settings"]["reward"]) else []
    notes += record["data"]["notes"]
    notes += [f"warning: {text}" for text in record.get("effect", ())]
    notes += _missing_notes(record)
    notes += [SKEWED_NOTE] if any_skewed(record["methods"]) or any_skewed(record["against"]) else []
    return notes + list(_metric_notes(record))


def _missing_notes(record: Record) -> Iterator[str]:
    methods = record["methods"]
    missing = sum(method["missing"] for method in methods)
    if missing:
        yield f"{missing:,} queries have no answer yet; the same command retries them"
    total = len(record["data"]["ids"])
    for method in methods:
        name = method["method"]
        empty = [str(seed) for seed, count in method["missing_by_seed"].items() if count == total]
        if empty and len(method["seeds"]) > 1:
            yield f"{name}: seed {', '.join(empty)} has no answers, so no query counts"
        if method["apart"]:
            yield f"{name} is not compared: its numbers cover its own {queries(method['queries'])}"
        if method["ungraded"]:
            count, reason = f"{method['ungraded']:,}", method["reason"]
            yield f"{name}: {count} answers could not be graded ({reason}); their queries are in no mean"
    compared = next((method for method in methods if not method["apart"]), None)
    if compared is not None and compared["queries"] < total:
        yield f"the numbers cover {compared['queries']:,} of {queries(total)}"


def _metric_notes(record: Record) -> Iterator[str]:
    """Yield the notes on metrics, with the methods they concern unless they concern all methods."""
    about: dict[tuple[str, str], list[str]] = {}
    of_metric: Counter[str] = Counter()
    for method in record["methods"]:
        for when, metrics in method["by_when"].items():
            for metric in metrics:
                of_metric[metric["name"]] += 1
                for remark in filter(None, metric["note"].split("; ")):
                    about.setdefault((metric["name"], remark), []).append(f"{method['method']} {when}")
    everywhere: dict[str, list[str]] = {}
    for (metric_name, remark), places in about.items():
        if len(places) == of_metric[metric_name]:
            everywhere.setdefault(remark, []).append(metric_name)
        else:
            yield f"{metric_name} of {', '.join(places)}: {remark}"
    yield from (f"{', '.join(names)}: {remark}" for remark, names in everywhere.items())


def _about(record: Record) -> str:
    lines = list(map(escape_markdown, _about_lines(record)))
    if record.get("page"):
        lines.append(f"All answers: [{record['page']}]({record['page']}).")
    return " ".join(lines)


def _about_lines(record: Record) -> list[str]:
    data, benchmark = record["data"], record["benchmark"]
    judge = record["judge"] or {}
    lines = [
        f"{queries(len(data['ids']))} of {data['source']} (licence: {benchmark['licence']}).",
        f"Metric: {benchmark['metric']}.",
    ]
    return lines + ([f"Judge: {judge['name']}."] if judge.get("name") else [])


def _rows(record: Record) -> Iterator[tuple[str, ...]]:
    for method in record["methods"]:
        before, after = method["by_when"][BEFORE], method["by_when"][AFTER]
        for place, (first, last) in enumerate(zip(before, after, strict=True)):
            change = ("", "")
            if place == 0 and last["value"] is not None:
                change = format_difference(method["change"], decimals(last["unit"]))
            name = method["method"] if place == 0 else ""
            counted = f"{last['graded']:,}" + (", not compared" if method["apart"] else "")
            yield name, last["name"], format_metric(first), format_metric(last), *change, counted, last["by"]


def _against_rows(record: Record) -> list[tuple[str, ...]]:
    digits = decimals(_leading(record)[0]["unit"])
    return [
        (f"{a['first']} minus {a['second']}", *comparison_cells(a["paired"], digits))
        for a in record["against"]
    ]


def _seed_rows(record: Record) -> Iterator[tuple[str, ...]]:
    """Yield the leading metric of each seed if there are several seeds."""
    for method in record["methods"]:
        for seed, of in method["by_seed"].items() if len(method["by_seed"]) > 1 else ():
            yield method["method"], str(seed), format_metric(of[BEFORE][0]), format_metric(of[AFTER][0])


def _kind_rows(record: Record) -> Iterator[tuple[str, ...]]:
    """Yield mean scores by kind of query, in the unit of the score."""
    for method in record["methods"]:
        before, after = method["strata"][BEFORE], method["strata"][AFTER]
        for kind in after:
            value, count = after[kind]
            yield (
                method["method"],
                kind,
                format_number(before.get(kind, (None,))[0]),
                format_number(value),
                f"{count:,}",
            )


def _paper_rows(record: Record) -> Iterator[tuple[str, ...]]:
    for method in record["methods"]:
        for beside in method["beside"]:
            ours = next(m for m in method["by_when"][beside["when"]] if m["name"] == beside["metric"])
            paper = beside["paper"]
            answers = method["method"] if beside["when"] == AFTER else f"{method['method']}, before"
            yield (
                answers,
                beside["metric"],
                format_metric(ours),
                format_number(paper["value"], 1),
                format_signed(beside["difference"], 1),
                paper["row"],
                beside["why"],
            )


def _leading(record: Record) -> list[Record]:
    return [of[0] for method in record["methods"] for of in method["by_when"].values()]
