"""``tpo run``: a data set, optimized, kept and summed up."""

from __future__ import annotations

from typing import Annotated

import typer

from tpo.cli import options

EXAMPLES = """\
[bold]Examples[/bold]

[dim]the shipped examples, with the embedded pair[/dim]
tpo run

[dim]your prompts, a model server, a reward model[/dim]
tpo run prompts.jsonl --policy http://localhost:8000/v1 --reward hf:ORG/MODEL

[dim]another method, and your own reward: length() in scores.py[/dim]
tpo run prompts.csv --column question --method revision --reward python:scores:length

[dim]options from a file[/dim]
tpo run prompts.jsonl --config run.toml -d 3 -n 8
"""


@options.with_settings()
def run_data(
    given: options.Given,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A .json, .jsonl, .csv, .txt or .parquet file, a pattern in quotes, - for standard input,"
            " or hf:NAME:SPLIT."
            " [dim]\\[default: the shipped examples][/dim]",
        ),
    ] = None,
    fresh: options.Fresh = False,
) -> None:
    """Optimize every query of a data set and write the results to a run directory.

    The same command resumes an interrupted run.
    """
    from tpo.cli.common import exit_code, settings_of
    from tpo.cli.session import Session

    summary = Session.of(settings_of(given), data, fresh=fresh).carry_out()
    if code := exit_code(summary):
        raise typer.Exit(code)
