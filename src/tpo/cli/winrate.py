"""``tpo winrate``: a run's answers against best-of-n of another run, by a pairwise judge."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tpo.cli.options import Debug
from tpo.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from tpo.experiments.winrate import WinRate
    from tpo.rewards.judge.pairwise import PairwiseJudge

EXAMPLES = """\
[bold]Examples[/bold]

[dim]the paper's figure 6: TPO D2-N5 against best-of-30 and best-of-60[/dim]
tpo winrate runs/tpo runs/bon-60 --judge http://localhost:8002/v1 --best-of 30,60
"""


def winrate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run whose answers are judged.")],
    pool: Annotated[Path, typer.Argument(metavar="POOL", help="The run whose first samples give best-of-n.")],
    judge: Annotated[
        str, typer.Option(metavar="URL", help="Server of the judge; its key is in TPO_REWARD_API_KEY.")
    ],
    judge_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The judge's model at the server.")
    ] = None,
    best_of: Annotated[
        str, typer.Option(metavar="LIST", help="Sizes of best-of-n to compare with.")
    ] = "30,60",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Results. [dim]\\[default: winrate in RUN][/dim]")
    ] = None,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Write tables only.")] = False,
    debug: Debug = False,  # noqa: ARG001 - heeded where errors are translated
) -> None:
    """Compare the answers of RUN with best-of-n of POOL by a pairwise judge, both orders of each pair."""
    import asyncio

    from tpo.cli.escape import echo
    from tpo.experiments.winrate import win_rates, write_win_rates

    sizes = _sizes(best_of)
    for each in (run, pool):
        if not each.exists():  # told before a directory is made there
            raise StoreError(f"{each}: no such directory; name that of a run")
    folder = out if out is not None else run / "winrate"
    folder.mkdir(parents=True, exist_ok=True)

    async def judged() -> tuple[str, list[WinRate]]:
        comparer = _judge(judge, judge_model)
        try:
            name = await comparer.check()
            # Of a judge that the user has not named, another server may have another of that name.
            kept, identity = folder / "comparisons.jsonl", (name, "" if judge_model else judge)
            return name, await win_rates(run, pool, comparer, sizes, kept, identity=identity)
        finally:
            await comparer.aclose()

    name, rates = asyncio.run(judged())
    record = write_win_rates(folder, run, pool, name, rates, figure=not no_figures)
    echo(record["table"])


def _judge(url: str, model: str | None) -> PairwiseJudge:
    """Return the pairwise judge at *url*."""
    from tpo.registry import REWARD_KEY_VARIABLE, refuse_secrets
    from tpo.rewards.judge.pairwise import PairwiseJudge

    refuse_secrets("--judge", url, REWARD_KEY_VARIABLE)
    return PairwiseJudge(url, model=model, api_key=os.environ.get(REWARD_KEY_VARIABLE))


def _sizes(text: str) -> list[int]:
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = [0]
    if found[0] < 1:
        raise ConfigError(f"--best-of {text}: whole numbers from 1 between commas, such as 30,60")
    return found
