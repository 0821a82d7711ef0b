"""``tpo report``: runs to look at, on one page and in figures."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tpo.cli.options import Debug, Quiet, parse_path
from tpo.cli.prices import Currency, PriceCached, PriceIn, PriceOut, RolePrice, prices_of
from tpo.errors import ConfigError
from tpo.plurals import queries

if TYPE_CHECKING:
    from tpo.report import WrittenReport

EXAMPLES = """\
[bold]Examples[/bold]

[dim]one run: RUN/report.html and RUN/figures/[/dim]
tpo report runs/NAME

[dim]two methods compared, with a baseline and prices[/dim]
tpo report runs/tpo runs/bon --out both.html --baseline Instruct=-1.27 --price-in 0.5 --price-out 1.5
"""


def report(
    runs: Annotated[list[Path], typer.Argument(parser=parse_path, metavar="RUN", help="Run directories.")],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=parse_path,
            metavar="FILE",
            help="HTML file to write. [dim]\\[default: report.html in RUN; of several, above them][/dim]",
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            parser=parse_path,
            metavar="DIR",
            help="Directory of the figures (SVG, PNG, PDF and CSV)."
            " [dim]\\[default: figures, beside the page][/dim]",
        ),
    ] = None,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Write the page only.")] = False,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Mean reward of another system, drawn as a dashed line; repeatable."
        ),
    ] = None,
    baseline_run: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN",
            help="A run of another policy: the mean reward of its first samples is drawn across the curves;"
            " repeatable.",
        ),
    ] = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    price_cached: PriceCached = None,
    currency: Currency = "USD",
    role_price: RolePrice = None,
    quiet: Quiet = None,
    debug: Debug = False,  # noqa: ARG001 - heeded where errors are translated
) -> None:
    """Write an HTML page that shows runs, compares them and contains every query."""
    from tpo.report import ReportOptions, write_report

    prices = prices_of(price_in, price_out, price_cached, currency, role_price or ())
    page = out if out is not None else _beside(runs)
    folder = None if no_figures else (figures or page.parent / "figures")
    options = ReportOptions(
        _baselines(baseline or []), prices, folder, baseline_runs=tuple(baseline_run or ())
    )
    written = write_report(runs, page, options)
    if not quiet:
        _tell(written, folder)


def _beside(runs: list[Path]) -> Path:
    if len(runs) == 1:
        return runs[0] / "report.html"
    return Path(os.path.commonpath([run.resolve().parent for run in runs])) / "report.html"


def _baselines(given: list[str]) -> tuple[tuple[str, float], ...]:
    return tuple(_baseline(text) for text in given)


def _baseline(text: str) -> tuple[str, float]:
    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (equals and name.strip() and math.isfinite(value)):
        raise ConfigError(f"--baseline {text!r} must be NAME=VALUE, such as 'Instruct=-1.27'")
    return name.strip(), value


def _tell(written: WrittenReport, folder: Path | None) -> None:
    from tpo.cli.escape import echo

    for name, note in written.notes:
        echo(f"{name}: {note}", err=True)
    size = written.page.stat().st_size / 1e6
    echo(f"{queries(written.queries)} on {written.page} ({size:,.1f} MB)", err=True)
    if folder is not None and written.figures:
        echo(f"{len(written.figures)} files in {folder}", err=True)
