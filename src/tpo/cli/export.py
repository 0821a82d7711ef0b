"""``tpo export``: a run in other shapes."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tpo.cli.options import Debug, Quiet, parse_path
from tpo.cli.training_set import MaxChars, MaxLengthRatio, MinMargin, Pairs, StepNumbers, TrainingOptions
from tpo.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from tpo.export import Exported, Exporter

EXAMPLES = """\
[bold]Examples[/bold]

tpo export runs/NAME --out answers.csv

[dim]preference pairs for DPO: best and worst response, at least half a point apart[/dim]
tpo export runs/NAME --format dpo --min-margin 0.5 --out pairs.parquet

tpo export runs/NAME --format reference --out results.json
"""


class Format(StrEnum):
    """The shapes that a run can be had in."""

    results = "results"
    dpo = "dpo"
    sft = "sft"
    reference = "reference"
    logs = "logs"


FILES = {
    Format.results: "results.jsonl",
    Format.dpo: "dpo.jsonl",
    Format.sft: "sft.jsonl",
    Format.reference: "reference.json",
    Format.logs: "logs.json",
}
HEEDED = {
    Format.dpo: {"--pairs", "--min-margin", "--max-length-ratio", "--steps", "--max-chars"},
    Format.sft: {"--steps", "--max-chars"},
}
"""Options that each format uses; any other option is refused."""


def export(
    run: Annotated[Path, typer.Argument(parser=parse_path, metavar="RUN", help="Run directory.")],
    shape: Annotated[
        Format,
        typer.Option(
            "--format",
            help="results: one row per query with its answer. dpo: preference pairs. sft: the best answers"
            " as conversations. reference: every response with its reward, as the reference implementation"
            " writes it. logs: inputs and outputs of each iteration.",
        ),
    ] = Format.results,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=parse_path,
            metavar="FILE",
            help="Output file: .jsonl, .csv or .parquet for results; .jsonl or .parquet for dpo and sft."
            " [dim]\\[default: a file in RUN][/dim]",
        ),
    ] = None,
    pairs: Pairs = None,
    min_margin: MinMargin = None,
    max_length_ratio: MaxLengthRatio = None,
    steps: StepNumbers = None,
    max_chars: MaxChars = None,
    raw_csv: Annotated[
        bool,
        typer.Option(
            "--raw-csv",
            help="Write CSV cells that begin with =, +, - or @ unchanged. Without it they get an apostrophe,"
            " so that spreadsheet programs do not evaluate them.",
        ),
    ] = False,
    quiet: Quiet = None,
    debug: Debug = False,  # noqa: ARG001 - heeded where errors are translated
) -> None:
    """Write a run's answers, preference pairs or training data to a file."""
    from tpo.cli.escape import echo
    from tpo.export import read_in_order

    if not run.is_dir():  # told before a file is begun in it, which would make it
        raise StoreError(f"{run}: no such directory; name that of a run")
    options = TrainingOptions(pairs, min_margin, max_length_ratio, steps, max_chars)
    path = out if out is not None else run / FILES[shape]
    exporter = _exporter(run, shape, options)
    if raw_csv:
        exporter = _raw_csv(shape, path)
    exported = exporter(read_in_order(run), path)
    if not quiet:
        echo(_told(exported, shape, path), err=True)


def _exporter(run: Path, shape: Format, options: TrainingOptions) -> Exporter:
    """Return the function that writes *shape*, with the *options* that apply to it.

    Raises:
        ConfigError: an option was given that it does not heed, or one is out of its range.
    """
    from tpo.export import EXPORTERS, Models, export_dpo, export_sft

    for name in options.given():
        if name not in HEEDED.get(shape, ()):
            heeding = " and ".join(f"--format {other}" for other, heeded in HEEDED.items() if name in heeded)
            raise ConfigError(f"{name} is for {heeding} only, not for --format {shape}")
    if shape is Format.dpo:
        return partial(export_dpo, pairing=options.pairing(), models=Models.of_run(run))
    if shape is Format.sft:
        return partial(export_sft, eligible=options.eligible(), models=Models.of_run(run))
    return EXPORTERS[shape.value]


def _raw_csv(shape: Format, path: Path) -> Exporter:
    """Return the exporter of results that escapes no formulas.

    Raises:
        ConfigError: something else than results in CSV is asked for.
    """
    from tpo.export import export_results

    if shape is not Format.results or path.suffix != ".csv":
        raise ConfigError("--raw-csv is for --format results and a file that ends in .csv only")
    return partial(export_results, escape_formulas=False)


def _told(exported: Exported, shape: Format, path: Path) -> str:
    """Return a sentence on what was written and which queries were left out."""
    what = "preference pairs" if shape is Format.dpo else "queries"
    reasons = {
        "failed": exported.left_out,
        "of turns that are not text alone": exported.not_text,
        "without a response that the options keep"
        if shape is Format.sft
        else "without a pair": exported.nothing,
    }
    left = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    return f"{exported.written:,} {what} written to {path}" + (f"; queries left out: {left}" if left else "")
