"""``tpo export``: a run in other shapes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tpo.cli.options import Debug, Quiet

EXAMPLES = """\
[bold]Examples[/bold]

tpo export runs/NAME --out answers.csv

tpo export runs/NAME --format reference --out results.json
"""


class Format(StrEnum):
    """The shapes that a run can be had in."""

    results = "results"
    reference = "reference"
    logs = "logs"


FILES = {Format.results: "results.jsonl", Format.reference: "reference.json", Format.logs: "logs.json"}


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a run.")],
    shape: Annotated[
        Format,
        typer.Option(
            "--format",
            help="results: a row for each query with its answer. reference: every response with its reward,"
            " as the reference implementation writes it. logs: what went into each iteration and came out.",
        ),
    ] = Format.results,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to write; results take .jsonl, .csv and .parquet."
            " [dim]\\[default: a file in RUN][/dim]",
        ),
    ] = None,
    quiet: Quiet = None,
    debug: Debug = False,  # noqa: ARG001 - heeded where errors are translated
) -> None:
    """Write a run's answers, rewards or iterations to a file."""
    from tpo.export import EXPORTERS
    from tpo.store import read_trajectories

    path = out if out is not None else run / FILES[shape]
    exported = EXPORTERS[shape.value](read_trajectories(run), path)
    if not quiet:
        left = f", {exported.left_out:,} failed left out" if exported.left_out else ""
        typer.echo(f"{exported.written:,} queries written to {path}{left}", err=True)
