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

[dim]the third of 16 shards, on any machine; tpo merge runs/big joins them[/dim]
tpo run prompts.jsonl --shard 3/16 --out runs/big

[dim]two workers with a GPU each on a Ray cluster[/dim]
tpo run prompts.jsonl --ray --workers 2 --worker-gpus 1 --reward hf:ORG/MODEL --policy http://localhost:8000/v1

[dim]options from a file[/dim]
tpo run prompts.jsonl --config run.toml -d 3 -n 8
"""


@options.with_settings(scale=True)
def run_data(
    given: options.Given,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA",
            help="A .json, .jsonl, .csv, .txt or .parquet file, a pattern in quotes, - for standard input,"
            " or hf:NAME:SPLIT; several are read one after the other."
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
    from tpo.data.sources import single_or_several

    source = single_or_several(data) if data else None
    summary = Session.of(settings_of(given), source, fresh=fresh).execute()
    if code := exit_code(summary):
        raise typer.Exit(code)
