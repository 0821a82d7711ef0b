"""Checklist of the doctor's findings: a mark, one sentence, and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tpo.cli.escape import literal, visible
from tpo.doctor import Finding, Status, no_failures

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
        lines = [Text.assemble(literal(finding.check, "bold"), ": ", literal(finding.sentence))]
        if finding.advice:
            arrow = "->" if self._plain else "→"
            lines.append(Text(f"{arrow} {visible(finding.advice)}", style="dim"))
        self._print(Text(plain if self._plain else mark, style=style), lines)

    def end(self, found: Sequence[Finding], always: Console) -> None:
        """Print the verdict on *always*, and failures that were not shown yet."""
        failed = [finding for finding in found if finding.status == "failure"]
        for finding in failed if self._console.quiet else ():
            Checklist(always).tell(finding)
        failures = len(failed)
        warnings = sum(finding.status == "warning" for finding in found)
        if failures:
            marked = MARKS["failure"][1 if self._plain else 0]
            always.print(
                f"A run would not work: fix the checks marked {marked} ({failures}).", style="bold red"
            )
        elif warnings:
            always.print(f"A run would work; warnings (!): {warnings}.", style="bold")
        else:
            always.print("A run would work.", style="bold green")

    def _print(self, mark: Text, lines: Sequence[Text]) -> None:
        if self._console.is_terminal:
            grid = Table.grid()
            grid.add_column(width=INDENT)
            grid.add_column()
            grid.add_row(mark, Text("\n").join(lines))
            self._console.print(grid)
            return
        for line in lines:  # unbroken, for whatever reads them
            mark.align("left", INDENT)
            self._console.print(mark + line, soft_wrap=True)
            mark = Text()


def as_json(found: Sequence[Finding]) -> str:
    """One object: whether a run would work, and every finding with what was measured."""
    record = {"works": no_failures(found), "findings": [finding.record() for finding in found]}
    return json.dumps(record, ensure_ascii=True, indent=2, default=str)
