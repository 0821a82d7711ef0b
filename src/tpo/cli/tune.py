"""``tpo tune``: the method, N, D and rule with the highest score for a budget, measured on a sample."""

from __future__ import annotations

from typing import Annotated

import typer

from tpo.cli import options
from tpo.cli.prices import Currency, PriceCached, PriceIn, PriceOut, RolePrice
from tpo.config.settings import DATA

EXAMPLES = """\
[bold]Examples[/bold]

[dim]how much compute pays, judged by a reward that guides nothing[/dim]
tpo tune prompts.jsonl --policy http://localhost:8000/v1 --reward hf:ORG/A --check-reward hf:ORG/B

[dim]the best configuration for 5,000 tokens a query[/dim]
tpo tune prompts.jsonl --policy http://localhost:8000/v1 --reward hf:ORG/A --budget 5000
"""

SOME_FAILED = 1
CHOICE = "Choice"


@options.with_settings(
    without=("combine", "calibration", "limit", "select", "select_judge"),
    several=options.TUNED,
    texts={
        "reward": options.ONE_REWARD,
        "check_reward": "Held-out reward: guides nothing and judges the configurations."
        " Without it the guiding reward judges, which favors best-of-n.",
    },
    defaults=options.TUNE_DEFAULTS,
)
def tune(
    given: options.Given,
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A .json, .jsonl, .csv or .parquet file, or hf:NAME:SPLIT."),
    ],
    sample: Annotated[
        int,
        typer.Option(
            metavar="N", min=2, help="Queries to measure on, drawn at random.", rich_help_panel=CHOICE
        ),
    ] = 50,
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="COST", min=0, help="Highest cost of the mean query, in --cost.", rich_help_panel=CHOICE
        ),
    ] = None,
    cost: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What the budget counts: tokens, written, calls, money or flops.",
            rich_help_panel=CHOICE,
        ),
    ] = "tokens",
    pool: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="First samples for best-of-n.", rich_help_panel=CHOICE),
    ] = 20,
    parameters: Annotated[
        float | None,
        typer.Option(
            metavar="N", min=1, help="Parameters of the policy, for --cost flops.", rich_help_panel=CHOICE
        ),
    ] = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    price_cached: PriceCached = None,
    currency: Currency = "USD",
    role_price: RolePrice = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete the existing runs first.", rich_help_panel=DATA)
    ] = False,
) -> None:
    """Find how much compute pays for a policy and a reward, on a sample, and print the command to use.

    By default tpo, revision and fused with N = 5 and D up to 4. The same command resumes unfinished runs.
    """
    flags = {**locals(), **given.flags}
    from tpo.cli.tune_session import TuneSession

    if TuneSession.of(data, flags, given.config).execute():
        raise typer.Exit(SOME_FAILED)
