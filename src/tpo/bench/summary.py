"""Results for people: one page of Markdown, and the same table for LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tpo.bench.arms import AFTER, BEFORE
from tpo.bench.tables import interval, latex_table, markdown_table, md, number, signed

Record = Mapping[str, Any]

HEAD = ("method", "metric", "before", "after", "change", "p", "graded", "by")
PAPER_HEAD = ("answers", "metric", "ours", "paper", "difference", "the paper's row", "note")


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
    data, benchmark = record["data"], record["benchmark"]
    judge = record["judge"] or {}
    lines = [
        f"{len(data['ids']):,} queries of {md(data['source'])} ({benchmark['licence']}).",
        f"Measured: {benchmark['metric']}.",
    ]
    if judge.get("name"):
        lines.append(f"Judge: {md(judge['name'])}.")
    if record.get("page"):
        lines.append(f"Every answer: [{record['page']}]({record['page']}).")
    return " ".join(lines)


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
    unit = _leading(record)[0]["unit"]
    rows = [
        (f"{a['first']} less {a['second']}", *_change(a["paired"], unit), _counts(a["paired"]))
        for a in record["against"]
    ]
    return markdown_table(("final answers", "change", "p", "wins, ties, losses"), rows)


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
