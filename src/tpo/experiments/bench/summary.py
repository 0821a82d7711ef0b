"""Results for people: one page of Markdown, and the same table for LaTeX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tpo.config.settings import TINY
from tpo.counting import queries
from tpo.experiments.bench.arms import AFTER, BEFORE
from tpo.experiments.latex import latex_table
from tpo.experiments.tables import (
    SKEWED_NOTE,
    any_skewed,
    difference,
    digits_of,
    interval,
    markdown_table,
    md,
    number,
    outcomes,
    signed,
)
from tpo.report.results import Results, Table

Record = Mapping[str, Any]

HEAD = ("method", "metric", "before", "after", "change", "p", "graded", "by")
PAPER_HEAD = ("answers", "metric", "ours", "paper", "difference", "the paper's row", "note")
TINY_NOTE = "the embedded models are toys: these numbers show that the machinery works, and nothing else"
AGAINST_HEAD = ("final answers", "change", "p", "wins, ties, losses")
SEED_HEAD = ("method", "seed", "before", "after")
KIND_HEAD = ("method", "kind", "mean score before", "after", "graded")


def markdown(record: Record) -> str:
    """The page ``results.md``."""
    parts = [f"# {record['benchmark']['title']}: {md(record['policy'])}", _about(record), table(record)]
    if len(record["methods"]) > 1:
        parts += ["## Methods against each other", _against(record)]
    beside = list(_paper_rows(record))
    if record["paper"] is not None:
        parts += ["## Beside the paper", f"{record['paper']}."]
        parts.append(
            markdown_table(PAPER_HEAD, beside) if beside else "Its table has no row to stand beside."
        )
    parts += ["## Notes", "\n".join(f"- {md(note)}" for note in notes(record))]
    return "\n\n".join(parts) + "\n"


def table(record: Record) -> str:
    """The leading metric of every method, then the others, in Markdown."""
    return markdown_table(HEAD, list(_rows(record)))


def shown(record: Record) -> Results:
    """The same, and what it is by seed and by kind, for the report's page."""
    tables = [Table("Methods", HEAD, list(_rows(record)))]
    for title, head, rows in (
        ("Methods against each other", AGAINST_HEAD, _against_rows(record)),
        ("Beside the paper", PAPER_HEAD, list(_paper_rows(record))),
        ("By seed", SEED_HEAD, list(_seed_rows(record))),
        ("By kind", KIND_HEAD, list(_kind_rows(record))),
    ):
        tables += [Table(title, head, rows)] if rows else []
    title = f"{record['benchmark']['title']}: {record['policy']}"
    return Results(title, _about_lines(record), tables, notes(record))


def latex(record: Record) -> str:
    """The same table for a paper, with ``booktabs``."""
    caption = f"{record['benchmark']['title']}, {record['policy']}."
    rows = [row[:6] for row in _rows(record)]
    return latex_table(HEAD[:6], rows, caption, notes(record)) + "\n"


def notes(record: Record) -> list[str]:
    """Return what must be known beside the numbers."""
    said = [
        "before: the first sample of the unaligned policy; after: the method's final answer",
        "each number is over queries, seeds averaged first; methods are compared on the same queries",
        "intervals: 95%; of right or wrong answers Wilson's, of others by bootstrap over queries",
        "change: after less before, paired by query; p: two-sided, by swapping the two sides of a query",
        f"reward {record['reward']}",
    ]
    said += [TINY_NOTE] if TINY in (*record["settings"]["policy"], *record["settings"]["reward"]) else []
    said += record["data"]["notes"]
    said += _missing_notes(record)
    said += [SKEWED_NOTE] if any_skewed(record["methods"]) or any_skewed(record["against"]) else []
    return said + list(_metric_notes(record))


def _missing_notes(record: Record) -> Iterator[str]:
    methods = record["methods"]
    missing = sum(method["missing"] for method in methods)
    if missing:
        yield f"{missing:,} queries have no answer yet; the same command tries them again"
    asked = len(record["data"]["ids"])
    for method in methods:
        name = method["method"]
        silent = [str(seed) for seed, count in method["missing_by_seed"].items() if count == asked]
        if silent and len(method["seeds"]) > 1:
            yield f"{name}: no answer of seed {', '.join(silent)}, so no query has all its seeds"
        if method["apart"]:
            yield f"{name} stands apart: its numbers are of its own {queries(method['queries'])}"
        if method["ungraded"]:
            count, why = f"{method['ungraded']:,}", method["reason"]
            yield f"{name}: {count} answers could not be graded ({why}); their queries are in no mean"
    compared = next((method for method in methods if not method["apart"]), None)
    if compared is not None and compared["queries"] < asked:
        yield f"the numbers are of {compared['queries']:,} of {queries(asked)}"


def _metric_notes(record: Record) -> Iterator[str]:
    """Yield each remark on a metric with the method that it is about, unless it is about all."""
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
    lines = list(map(md, _about_lines(record)))
    if record.get("page"):
        lines.append(f"Every answer: [{record['page']}]({record['page']}).")
    return " ".join(lines)


def _about_lines(record: Record) -> list[str]:
    data, benchmark = record["data"], record["benchmark"]
    judge = record["judge"] or {}
    lines = [
        f"{queries(len(data['ids']))} of {data['source']} (licence: {benchmark['licence']}).",
        f"Measured: {benchmark['metric']}.",
    ]
    return lines + ([f"Judge: {judge['name']}."] if judge.get("name") else [])


def _rows(record: Record) -> Iterator[tuple[str, ...]]:
    for method in record["methods"]:
        before, after = method["by_when"][BEFORE], method["by_when"][AFTER]
        for place, (first, last) in enumerate(zip(before, after, strict=True)):
            change = ("", "")
            if place == 0 and last["value"] is not None:
                change = difference(method["change"], digits_of(last["unit"]))
            name = method["method"] if place == 0 else ""
            counted = f"{last['graded']:,}" + (", apart" if method["apart"] else "")
            yield name, last["name"], interval(first), interval(last), *change, counted, last["by"]


def _against(record: Record) -> str:
    return markdown_table(AGAINST_HEAD, _against_rows(record))


def _against_rows(record: Record) -> list[tuple[str, ...]]:
    unit = _leading(record)[0]["unit"]
    return [
        (f"{a['first']} less {a['second']}", *difference(a["paired"], digits_of(unit)), outcomes(a["paired"]))
        for a in record["against"]
    ]


def _seed_rows(record: Record) -> Iterator[tuple[str, ...]]:
    """The leading metric of each seed, where there are several."""
    for method in record["methods"]:
        for seed, of in method["by_seed"].items() if len(method["by_seed"]) > 1 else ():
            yield method["method"], str(seed), interval(of[BEFORE][0]), interval(of[AFTER][0])


def _kind_rows(record: Record) -> Iterator[tuple[str, ...]]:
    """Mean scores by kind of query, in the score's own unit."""
    for method in record["methods"]:
        before, after = method["strata"][BEFORE], method["strata"][AFTER]
        for kind in after:
            value, count = after[kind]
            yield method["method"], kind, number(before.get(kind, (None,))[0]), number(value), f"{count:,}"


def _paper_rows(record: Record) -> Iterator[tuple[str, ...]]:
    for method in record["methods"]:
        for beside in method["beside"]:
            ours = next(m for m in method["by_when"][beside["when"]] if m["name"] == beside["metric"])
            paper = beside["paper"]
            answers = method["method"] if beside["when"] == AFTER else f"{method['method']}, before"
            yield (
                answers,
                beside["metric"],
                interval(ours),
                number(paper["value"], 1),
                signed(beside["difference"], 1),
                paper["row"],
                beside["why"],
            )


def _leading(record: Record) -> list[Record]:
    return [of[0] for method in record["methods"] for of in method["by_when"].values()]
