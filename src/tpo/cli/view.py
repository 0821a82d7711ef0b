"""``tpo view``: runs in the browser, live while they work."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tpo.cli.options import Debug, Quiet, parse_path
from tpo.cli.prices import Currency, PriceCached, PriceIn, PriceOut, RolePrice, prices_of

EXAMPLES = """\
[bold]Examples[/bold]

[dim]every run in runs/, those that begin later too[/dim]
tpo view

[dim]one run; a port that stays the same, for a tunnel or a page that is left open[/dim]
tpo view runs/NAME --port 8100 --no-open
"""


def view(
    runs: Annotated[
        Path,
        typer.Argument(
            parser=parse_path,
            metavar="RUN_OR_DIR",
            help="The directory of a run, or one that holds runs.",
            show_default="runs",
        ),
    ] = Path("runs"),
    port: Annotated[
        int,
        typer.Option(metavar="PORT", min=0, max=65535, help="On 127.0.0.1; 0 takes one that is free."),
    ] = 0,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            envvar="TPO_VIEW_TOKEN",
            help="What a browser must bring; '' asks for nothing. [dim]\\[default: a random one][/dim]",
            show_default=False,
        ),
    ] = None,
    open_browser: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open",
            help="Show it in a browser. [dim]\\[default: if there is a screen][/dim]",
            show_default=False,
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
    """Look at runs in the browser while they work: the report's page, live.

    It is served to this machine alone, to who has the printed address, until Ctrl-C.
    """
    import asyncio
    import secrets
    import webbrowser

    from rich.console import Console

    from tpo.cli.common import interruptible
    from tpo.cli.escape import echo, visible

    prices = prices_of(price_in, price_out, price_cached, currency, role_price or ())
    talk = Console(stderr=True, quiet=bool(quiet), highlight=False)
    with interruptible(talk, f"no longer viewing {visible(str(runs))}"):
        from tpo.view import serve  # within, so that Ctrl-C while it is imported leaves no traceback

        def ready(address: str) -> None:
            talk.print(f"viewing {visible(str(runs))}", markup=False, soft_wrap=True)
            echo(address)
            if open_browser if open_browser is not None else _has_screen():
                webbrowser.open(address)

        asked = secrets.token_urlsafe(24) if token is None else token
        asyncio.run(serve(runs, port=port, token=asked, prices=prices, ready=ready))


def _has_screen() -> bool:
    """Return whether the user can see a browser that is started here."""
    if not sys.stderr.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in ("darwin", "win32") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
