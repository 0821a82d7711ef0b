"""``tpo sweep``: methods by N by D by rewards by seeds over one data set, compared at equal cost."""

from __future__ import annotations

from typing import Annotated

import typer

from tpo.cli import options
from tpo.cli.prices import Currency, PriceCached, PriceIn, PriceOut, RolePrice
from tpo.config.settings import DATA

EXAMPLES = """\
[bold]Examples[/bold]

[dim]three methods, three N, two D, with the embedded pair[/dim]
tpo sweep prompts.jsonl --method tpo,revision,bon -n 3,5,10 -d 1,2 --pool 60

[dim]two rewards, three seeds, and a held-out reward[/dim]
tpo sweep prompts.jsonl --policy http://localhost:8000/v1 --method tpo,bon -n 5,20 --seed 1,2,3 \\
    --reward hf:ORG/A --reward hf:ORG/B --check-reward hf:ORG/C --out runs/scaling
"""

SOME_FAILED = 1
COMPARISON = "Comparison"


@options.with_settings(
    without=("combine", "calibration", "reward_weights", "gate", "select", "select_judge"),
    several=options.SWEPT,
    texts={
        "reward": f"{options.ONE_REWARD} Repeat it for several rewards: each gets runs of its own.",
        "check_reward": "Held-out reward: guides no run, scores the answers and the best of each step"
        " afterwards.",
    },
)
def sweep(
    given: options.Given,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA",
            help="A .json, .jsonl, .csv or .parquet file, a pattern in quotes, or hf:NAME:SPLIT; several are"
            " read one after the other.",
        ),
    ],
    pool: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of first samples for the best-of-n curve."
            " [dim]\\[default: the largest of --sample-size][/dim]",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Delete the existing runs of these cells first.", rich_help_panel=DATA),
    ] = False,
    no_share: Annotated[
        bool,
        typer.Option(
            "--no-share",
            help="Make all calls of every cell, without sharing.",
            rich_help_panel=COMPARISON,
        ),
    ] = False,
    cost: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Costs at which methods are compared: tokens, written, calls, money, flops, seconds.",
            rich_help_panel=COMPARISON,
        ),
    ] = "tokens,written",
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Budgets per query, in the first cost, at which all methods are compared: 1500,3000,6000.",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    parameters: Annotated[
        float | None,
        typer.Option(
            metavar="N", min=1, help="Parameters of the policy, for --cost flops.", rich_help_panel=COMPARISON
        ),
    ] = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    price_cached: PriceCached = None,
    currency: Currency = "USD",
    role_price: RolePrice = None,
    no_figures: Annotated[
        bool, typer.Option("--no-figures", help="Write tables only.", rich_help_panel=COMPARISON)
    ] = False,
    no_page: Annotated[
        bool, typer.Option("--no-page", help="Do not write report.html.", rich_help_panel=COMPARISON)
    ] = False,
) -> None:
    """Run methods with several N, D, rewards and seeds on one data set; compare them at equal cost.

    Each cell is an ordinary run; the same command resumes unfinished cells.
    """
    flags = {**locals(), **given.flags}
    from tpo.cli.sweep_session import SweepSession

    if SweepSession.of(data, flags, given.config).execute():
        raise typer.Exit(SOME_FAILED)
