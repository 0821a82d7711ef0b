"""The table in docs/rewards-models.md; ``python -m tests.known_models_table`` writes it anew."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path

from tpo.rewards.known_models import KNOWN_MODELS, KnownModel

PAGE = Path(__file__).parent.parent / "docs" / "rewards-models.md"
BEGIN, END = "<!-- models: made by python -m tests.known_models_table -->\n", "<!-- end of models -->\n"
HEADS = {
    "classifier": "`hf:ID`",
    "own code": "`hf:ID` with `--trust-remote-code`; tested with a stand-in",
    "function": "no: a [function](#models-that-need-a-function); tested with a stand-in",
}


def tables() -> str:
    """Return the tables as the rows make them."""
    use = _table(("model", "class", "`hf:`", "`vllm:`", "`sglang:`", "judge"), map(_use, KNOWN_MODELS))
    facts = _table(("model", "context", "licence", "tokens", "golden check"), map(_facts, KNOWN_MODELS))
    gaps = _table(("model", "ids", "not verified", "sources"), map(_gaps, KNOWN_MODELS))
    return f"{use}\n{facts}\n{gaps}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    """Return *text* with pipes in code that do not end a cell in any dialect of Markdown."""
    return re.sub(r"`([^`]*\|[^`]*)`", _code, text) or "-"


def _code(match: re.Match[str]) -> str:
    return f"<code>{html.escape(match[1]).replace('|', '&#124;')}</code>"


def _use(row: KnownModel) -> tuple[str, ...]:
    served = (_served(row, kind) for kind in ("vllm", "sglang"))
    return row.name, f"`{row.architecture}`", HEADS[row.loading], *served, row.judge


def _served(row: KnownModel, kind: str) -> str:
    refusal = row.refusal(kind)
    if refusal is not None:
        return f"no: {refusal}"
    note = row.sglang_note if kind == "sglang" else ""
    return f"`{kind}:URL`" + (f"; {note}" if note else "")


def _facts(row: KnownModel) -> tuple[str, ...]:
    context = "not verified" if row.context is None else f"{row.context:,}"
    return row.name, context, row.licence, row.tokens, _golden(row)


def _golden(row: KnownModel) -> str:
    checks = [] if row.loading == "function" else ["the probes' good answers win"]
    if row.layout is not None:
        checks += [f"start tokens: {row.layout.start}", f"last special token `{row.layout.end}`"]
    if not row.takes_system:
        checks.append("no system turn in the data")
    if row.card_scores:
        checks.append(f"the card's example: {', '.join(f'{score:g}' for score in row.card_scores)}")
    return "; ".join(checks)


def _gaps(row: KnownModel) -> tuple[str, ...]:
    return row.name, ", ".join(f"`{each}`" for each in row.ids), row.unverified, "; ".join(row.sources)


def main() -> None:
    """Write the tables into the page."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{tables()}{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
