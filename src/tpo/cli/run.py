"""``tpo run``: a data set, optimized, kept and summed up."""

from __future__ import annotations

from typing import Annotated

import typer

from tpo.cli import options

EXAMPLES = """\
[bold]Examples[/bold]

[dim]the shipped examples, with the embedded pair[/dim]
tpo run

[dim]your prompts, a server, a reward model[/dim]
tpo run prompts.jsonl --policy http://localhost:8000/v1 --reward hf:ORG/MODEL

[dim]another method, and a reward of your own: length() in scores.py[/dim]
tpo run prompts.csv --column question --method revision --reward python:scores:length

[dim]options from a file[/dim]
tpo run prompts.jsonl --config run.toml -d 3 -n 8
"""

SOME_FAILED = 1


def run(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A .json, .jsonl, .csv or .parquet file, or hf:NAME:SPLIT."
            " [dim]\\[default: the shipped examples][/dim]",
        ),
    ] = None,
    policy: options.Policy = None,
    model: options.Model = None,
    policy_extra: options.PolicyExtra = None,
    reward: options.Reward = None,
    combine: options.Combine = None,
    calibration: options.Calibration = None,
    reward_tokenizer: options.RewardTokenizer = None,
    rubric: options.Rubric = None,
    votes: options.Votes = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    trust_remote_code: options.TrustRemoteCode = None,
    method: options.Method = None,
    sample_size: options.SampleSize = None,
    max_iterations: options.MaxIterations = None,
    prompts: options.Prompts = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    max_tokens: options.MaxTokens = None,
    seed: options.Seed = None,
    column: options.Column = None,
    limit: options.Limit = None,
    out: options.Out = None,
    fresh: options.Fresh = False,
    concurrency: options.Concurrency = None,
    sequences: options.Sequences = None,
    timeout: options.Timeout = None,
    patience: options.Patience = None,
    config: options.Config = None,
    quiet: options.Quiet = None,
    debug: options.Debug = False,
) -> None:
    """Optimize every query of a data set, and keep all that was said on the way.

    A run that was interrupted, or killed, goes on with the same command.
    """
    flags = dict(locals())
    from tpo.cli.session import Session
    from tpo.cli.setup import settings_of

    summary = Session.of(settings_of(flags, config), data, fresh=fresh).carry_out()
    if summary.failed:
        raise typer.Exit(SOME_FAILED)
