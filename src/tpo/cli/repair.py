"""``tpo repair``: make a damaged run directory usable again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tpo.cli.options import Debug, parse_path
from tpo.plurals import queries

EXAMPLES = """\
[bold]Examples[/bold]

tpo repair runs/NAME
"""


def repair(
    run: Annotated[Path, typer.Argument(parser=parse_path, metavar="RUN", help="Run directory.")],
    debug: Debug = False,  # noqa: ARG001 - heeded where errors are translated
) -> None:
    """Repair a run directory: keep valid records, move damaged lines aside, restore run.json.

    Resume the run afterwards: it repeats what was moved aside.
    """
    from tpo.cli.escape import echo
    from tpo.store import repair as repair_run

    repaired = repair_run(run)
    if repaired.restored:
        echo("run.json is restored from its backup")
    for name, count in repaired.damaged.items():
        if count:
            lines = "1 damaged line" if count == 1 else f"{count:,} damaged lines"
            echo(f"{name}: {lines} moved to {name}.damaged")
    if not repaired.restored and not any(repaired.damaged.values()):
        echo("nothing is damaged")
    failed = f", {repaired.failed:,} failed" if repaired.failed else ""
    calls = f", {repaired.calls:,} finished calls of others" if repaired.calls else ""
    then = "the command of the run resumes it" if repaired.resumable else "of schema 1: it cannot be resumed"
    echo(f"{queries(repaired.finished)} finished{failed}{calls}; {then}")
