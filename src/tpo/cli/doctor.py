"""``tpo doctor``: what would stop a run, found before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tpo.cli import options
from tpo.cli.prices import Currency, PriceCached, PriceIn, PriceOut, RolePrice, prices_of
from tpo.config.settings import DATA, MODELS, RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tpo.config import Settings
    from tpo.data.sources import Spec
    from tpo.doctor import Setup

EXAMPLES = """\
[bold]Examples[/bold]

[dim]the embedded pair[/dim]
tpo doctor

[dim]the options of the planned run, and its data[/dim]
tpo doctor --data prompts.jsonl --policy http://localhost:8000/v1 --reward hf:ORG/MODEL

[dim]a served reward model against the same weights in this process[/dim]
tpo doctor --policy http://localhost:8000/v1 --reward vllm:http://localhost:8001 --golden hf:ORG/MODEL
"""

WOULD_NOT_WORK = 1


@options.with_settings(scale=True)
def doctor(
    given: options.Given,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATA",
            help="Data of the run: reads every row and estimates the whole run. Repeat it for several.",
            rich_help_panel=DATA,
        ),
    ] = None,
    golden: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|MODEL",
            help="Compare the reward with golden scores, or with a model in this process: hf:ID-OR-PATH.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    price_cached: PriceCached = None,
    currency: Currency = "USD",
    role_price: RolePrice = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=RUNNING)
    ] = False,
) -> None:
    """Check models, method and data before a long run, and estimate its cost.

    Takes the options of tpo run. Exit code 0: a run would work; 1: it would not; 2: the options are wrong.
    """
    import asyncio
    from dataclasses import replace

    from rich.console import Console

    from tpo.cli.checklist import Checklist, as_json
    from tpo.cli.common import interruptible, settings_of
    from tpo.data.sources import single_or_several
    from tpo.doctor import no_failures, run_checks

    settings = settings_of(given)
    setup = _setup_from(settings, single_or_several(data) if data else None, golden)
    setup = replace(setup, prices=prices_of(price_in, price_out, price_cached, currency, role_price or ()))
    console = Console(stderr=json, quiet=json or settings.quiet, highlight=False, emoji=False)
    checklist = Checklist(console)
    # One console for both where they share a terminal, so that neither writes over the other.
    shared = console.is_terminal and not console.quiet
    waiting = console if shared else Console(stderr=True, quiet=settings.quiet, highlight=False, emoji=False)
    with interruptible(waiting, "interrupted"), waiting.status("looking") as status:
        found = asyncio.run(
            run_checks(setup, checklist.tell, lambda check: status.update(f"looking at {check}"))
        )
    if json:
        typer.echo(as_json(found))
    else:
        checklist.end(found, always=Console(highlight=False, emoji=False))
    if not no_failures(found):
        raise typer.Exit(WOULD_NOT_WORK)


def _setup_from(settings: Settings, data: Spec | None, golden: str | None) -> Setup:
    """The run that *settings* would make, nothing of it loaded yet.

    Raises:
        ConfigError: the method is unknown, or its values are out of range.
    """
    import os

    from tpo.config import make_method, policy_of, reward_of
    from tpo.doctor import Setup
    from tpo.methods.named_models import api_key
    from tpo.registry import REWARD_KEY_VARIABLE

    return Setup(
        settings,
        make_method(settings),
        lambda named: policy_of(named, os.environ),
        lambda: reward_of(settings, os.environ),
        data,
        golden,
        api_key(os.environ),
        os.environ.get(REWARD_KEY_VARIABLE),
        os.environ,
        _secrets_of(os.environ),
    )


def _secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The keys in *environment*, which no text of ours may hold; longer ones first."""
    keys = {v.strip() for name, v in environment.items() if name.upper().endswith(("API_KEY", "TOKEN"))}
    return tuple(sorted((key for key in keys if len(key) > SHORT), key=len, reverse=True))


SHORT = 3
"""A key of so few characters is none, and replacing it would spoil every text."""
