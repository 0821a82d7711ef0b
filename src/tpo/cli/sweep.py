"""``tpo sweep``: methods by N by D by rewards by seeds over one data set, compared at equal cost."""

from __future__ import annotations

from typing import Annotated

import typer

from tpo.cli import options

EXAMPLES = """\
[bold]Examples[/bold]

[dim]three methods, three widths, two depths, with the embedded pair[/dim]
tpo sweep prompts.jsonl --method tpo,revision,bon --samples 3,5,10 --iterations 1,2 --pool 60

[dim]two rewards, three seeds, and a reward that guides nothing[/dim]
tpo sweep prompts.jsonl --policy http://localhost:8000/v1 --method tpo,bon --samples 5,20 --seeds 1,2,3 \\
    --reward hf:ORG/A --reward hf:ORG/B --check-reward hf:ORG/C --out runs/scaling
"""

SOME_FAILED = 1
COMPARISON = "Comparison"


def sweep(
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A .json, .jsonl, .csv or .parquet file, or hf:NAME:SPLIT."),
    ],
    policy: options.Policy = None,
    model: options.Model = None,
    policy_extra: options.PolicyExtra = None,
    reward: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="What guides: as of tpo run, but each one named makes cells of its own."
            " [dim]\\[default: tiny, for the tiny policy][/dim]",
            rich_help_panel=options.MODELS,
        ),
    ] = None,
    check_reward: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A reward that guides nothing: it scores the answers and each step's best afterwards.",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    reward_tokenizer: options.RewardTokenizer = None,
    rubric: options.Rubric = None,
    votes: options.Votes = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    trust_remote_code: options.TrustRemoteCode = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Methods, by commas. [dim]\\[default: tpo][/dim]",
            rich_help_panel=options.METHOD,
        ),
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option(
            "--samples",
            "-n",
            metavar="N,...",
            help="Answers a step, by commas. [dim]\\[default: 5][/dim]",
            rich_help_panel=options.METHOD,
        ),
    ] = None,
    iterations: Annotated[
        str | None,
        typer.Option(
            "--iterations",
            "-d",
            metavar="D,...",
            help="Iterations, by commas; bon has none. [dim]\\[default: 2][/dim]",
            rich_help_panel=options.METHOD,
        ),
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="So many first samples for the curve of best-of-n, which then reaches what others spend."
            " [dim]\\[default: the largest of --samples][/dim]",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    prompts: options.Prompts = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    max_tokens: options.MaxTokens = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="SEED,...",
            help="By commas; averaged by query. [dim]\\[default: 7][/dim]",
            rich_help_panel=options.SAMPLING,
        ),
    ] = None,
    column: options.Column = None,
    limit: options.Limit = None,
    out: options.Out = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Throw away the runs of these cells that are there.", rich_help_panel=options.DATA
        ),
    ] = False,
    no_share: Annotated[
        bool,
        typer.Option(
            "--no-share",
            help="Make every cell's calls anew, also those that cells have in common.",
            rich_help_panel=COMPARISON,
        ),
    ] = False,
    no_figures: Annotated[
        bool, typer.Option("--no-figures", help="Tables alone.", rich_help_panel=COMPARISON)
    ] = False,
    no_page: Annotated[
        bool, typer.Option("--no-page", help="No report.html of the runs.", rich_help_panel=COMPARISON)
    ] = False,
    concurrency: options.Concurrency = None,
    sequences: options.Sequences = None,
    timeout: options.Timeout = None,
    patience: options.Patience = None,
    config: options.Config = None,
    quiet: options.Quiet = None,
    debug: options.Debug = False,
) -> None:
    """Run every method with every N, D, reward and seed over one data set, and compare them at equal cost.

    Each cell is an ordinary run; the same command goes on with what is not finished.
    """
    flags = dict(locals())
    from tpo.cli.sweeping import Sweeping

    if Sweeping.of(data, flags, config).carry_out():
        raise typer.Exit(SOME_FAILED)
