"""Results for people: one page of Markdown, and the same table for LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tpo.config.settings import TINY
from tpo.counting import queries
from tpo.experiments.bench.arms import AFTER, BEFORE
from tpo.experiments.bench.tables import interval, latex_table, markdown_table, md, number, signed
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
    caption = f"{record['benchmark']['title']}, {record['policy']}: {'; '.join(notes(record))}."
    rows = [row[:6] for row in _rows(record)]
    return latex_table(HEAD[:6], rows, caption) + "\n"


def notes(record: Record) -> list[str]:
    """What must be known beside the numbers."""
    said = [
        "before: the first sample of the unaligned policy; after: the method's final answer",
        "intervals: 95%, bootstrap over queries; change: after less before, paired; p: sign flips",
        f"reward {record['reward']}",
    ]
    said += [TINY_NOTE] if TINY in (*record["settings"]["policy"], *record["settings"]["reward"]) else []
    said += record["data"]["notes"]
    missing = sum(method["missing"] for method in record["methods"])
    if missing:
        said.append(f"{missing:,} queries have no answer yet; the same command tries them again")
    metrics = [m for method in record["methods"] for of in method["by_when"].values() for m in of]
    ungraded = sum(m["ungraded"] for m in _leading(record))
    if ungraded:
        said.append(f"{ungraded:,} answers could not be graded and are in no mean")
    named: dict[str, list[str]] = {}
    for metric in metrics:
        names = named.setdefault(metric["note"], [])
        names += [metric["name"]] if metric["note"] and metric["name"] not in names else []
    return said + [f"{', '.join(names)}: {note}" for note, names in named.items() if note]


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
            change, p = _change(method["change"], last["unit"]) if place == 0 else ("", "")
            name = method["method"] if place == 0 else ""
            counted = f"{last['graded']:,}"
            yield name, last["name"], interval(first), interval(last), change, p, counted, last["by"]


def _change(change: Record | None, unit: str) -> tuple[str, str]:
    if change is None:
        return "", ""
    digits = 1 if unit == "%" else 2
    by = change["difference"]
    around = f" [{signed(by['low'], digits)}, {signed(by['high'], digits)}]"
    return f"{signed(by['value'], digits)}{around}", number(change["p"], 4)


def _against(record: Record) -> str:
    return markdown_table(AGAINST_HEAD, _against_rows(record))


def _against_rows(record: Record) -> list[tuple[str, ...]]:
    unit = _leading(record)[0]["unit"]
    return [
        (f"{a['first']} less {a['second']}", *_change(a["paired"], unit), _counts(a["paired"]))
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


def _counts(paired: Record) -> str:
    return f"{paired['wins']:,}, {paired['ties']:,}, {paired['losses']:,}"


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
