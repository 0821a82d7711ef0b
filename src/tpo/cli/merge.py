"""``tpo merge``: the shards of a run made into one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tpo.cli.options import Debug
from tpo.plurals import queries

EXAMPLES = """\
[bold]Examples[/bold]

[dim]after tpo run DATA --shard 1/2 --out runs/big, and 2/2 on another machine[/dim]
tpo merge runs/big
"""


def merge(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The --out directory of the shards.")],
    partial: Annotated[
        bool, typer.Option("--partial", help="Merge although shards are missing or not complete.")
    ] = False,
    debug: Debug = False,  # noqa: ARG001 - heeded where errors are translated
) -> None:
    """Merge the shards of a run into one run, in the order of the data.

    Checks that the settings agree and that every query is there once.

    Names missing shards and the commands that run them. Shards are kept and may be deleted afterwards.
    """
    from tpo.cli.escape import echo
    from tpo.scale.merge import merge_shards

    summary = merge_shards(run, partial=partial)
    failed = f", {summary.failed:,} failed" if summary.failed else ""
    echo(f"{queries(summary.finished)} finished{failed}: {run}")
