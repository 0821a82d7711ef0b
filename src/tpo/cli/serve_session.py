"""One invocation of ``tpo serve``: models loaded, the endpoint up, the end drained."""

from __future__ import annotations

import asyncio
import os

from rich.console import Console

from tpo.cli.common import interruptible
from tpo.cli.escape import echo
from tpo.config import Settings, make_method, name_model, stopping_rules
from tpo.runs.models import Models, Relay, load_models
from tpo.serve.server import ServeOptions, endpoint, listen, serve_until_stopped


def run_endpoint(settings: Settings, options: ServeOptions) -> None:
    """Load the models and serve until stopped."""
    talk = Console(stderr=True, quiet=settings.quiet, highlight=False, emoji=False)
    make_method(settings)  # its mistakes show before anything is loaded
    with interruptible(talk, "stopped"):
        settings = asyncio.run(name_model(settings, os.environ))
        stopping_rules(settings)  # after the models are named: a file of --when-needed holds their names
        with talk.status("loading the models"):
            models = load_models(settings, Relay())
        asyncio.run(_serve(settings, options, models, talk))


async def _serve(settings: Settings, options: ServeOptions, models: Models, talk: Console) -> None:
    opened = listen(options.host, options.port)
    host, port = opened.getsockname()[:2]
    async with models.ready(), endpoint(models, settings, options, dict(os.environ)) as served:

        def ready() -> None:
            talk.print(f"serving {served.service.name}", markup=False, soft_wrap=True)
            if not options.keys:
                talk.print("no API key is required (--api-keys)", markup=False)
            echo(f"http://{host}:{port}/v1")

        await serve_until_stopped(served.app(), opened, options.drain, ready)
