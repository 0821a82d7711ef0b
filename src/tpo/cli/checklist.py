"""What a doctor found, as a list to read: a mark, one sentence, and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tpo.cli.text import literal
from tpo.doctor import Finding, Status, works

MARKS: Mapping[Status, tuple[str, str, str]] = {
    "good": ("✓", "ok", "green"),
    "warning": ("!", "!", "yellow"),
    "failure": ("✗", "X", "bold red"),
    "unknown": ("·", "-", "dim"),
}
"""The mark, the same where the terminal has no byte for it, its style."""
INDENT = 3


class Checklist:
    """Shows findings as they come."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plain = not console.encoding.lower().startswith("utf")

    def tell(self, finding: Finding) -> None:
        """Show *finding*, whatever characters it quotes."""
        mark, plain, style = MARKS[finding.status]
        line = Text(f"{plain if self._plain else mark}".ljust(INDENT), style=style)
        line.append_text(literal(finding.check, "bold")).append(": ")
        self._print(line.append_text(literal(finding.sentence)))
        if finding.advice:
            arrow = "->" if self._plain else "→"
            advice = Text(f"{arrow} ", style="dim").append_text(literal(finding.advice))
            self._print(advice, indent=INDENT)

    def end(self, found: Sequence[Finding], always: Console) -> None:
        """Say on *always* what it comes to."""
        failures = sum(finding.status == "failure" for finding in found)
        warnings = sum(finding.status == "warning" for finding in found)
        if failures:
            marked = MARKS["failure"][1 if self._plain else 0]
            always.print(
                f"A run would not work: mend what is marked {marked} ({failures}).", style="bold red"
            )
        elif warnings:
            always.print(f"A run would work; {warnings} to look at (!).", style="bold")
        else:
            always.print("A run would work.", style="bold green")

    def _print(self, line: Text, indent: int = 0) -> None:
        if self._console.is_terminal:
            self._console.print(Padding(line, (0, 0, 0, indent)))
        else:  # whole lines, for whatever reads them
            self._console.print(Text(" " * indent).append_text(line), soft_wrap=True)


def as_json(found: Sequence[Finding]) -> str:
    """One object: whether a run would work, and every finding with what was measured."""
    record = {"works": works(found), "findings": [finding.record() for finding in found]}
    return json.dumps(record, ensure_ascii=True, indent=2, default=str)
