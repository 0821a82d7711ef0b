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

[dim]every run in runs/, including later ones[/dim]
tpo view

[dim]one run, on a fixed port[/dim]
tpo view runs/NAME --port 8100 --no-open
"""


def view(
    runs: Annotated[
        Path,
        typer.Argument(
            parser=parse_path,
            metavar="RUN_OR_DIR",
            help="Run directory, or a directory that contains runs.",
            show_default="runs",
        ),
    ] = Path("runs"),
    port: Annotated[
        int,
        typer.Option(metavar="PORT", min=0, max=65535, help="Port on 127.0.0.1; 0 chooses a free one."),
    ] = 0,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            envvar="TPO_VIEW_TOKEN",
            help="Token that a browser must send; '' disables it. [dim]\\[default: a random one][/dim]",
            show_default=False,
        ),
    ] = None,
    open_browser: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open",
            help="Open a browser. [dim]\\[default: if there is a screen][/dim]",
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
    """Show runs in the browser and update the page while they work.

    The page is served on 127.0.0.1 until Ctrl-C; the printed address contains its token.
    """
    import asyncio
    import secrets
    import webbrowser

    from rich.console import Console

    from tpo.cli.common import interruptible
    from tpo.cli.escape import echo, visible

    prices = prices_of(price_in, price_out, price_cached, currency, role_price or ())
    talk = Console(stderr=True, quiet=bool(quiet), highlight=False, emoji=False)
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
