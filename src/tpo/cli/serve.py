"""``tpo serve``: the method behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tpo.cli import options
from tpo.config.settings import DATA_OPTIONS
from tpo.serve.environment import KEYS_VARIABLE, RETRY_TIMEOUT, read_keys

EXAMPLES = """\
[bold]Examples[/bold]

[dim]the embedded pair; then point any OpenAI client at http://127.0.0.1:8080/v1[/dim]
tpo serve

[dim]a model server and a reward server, API keys from a file[/dim]
tpo serve --policy http://localhost:8000/v1 --reward vllm:http://localhost:8001 --api-keys keys
"""

SERVING = "Serving"
NOT_TAKEN = (*DATA_OPTIONS, "out", "sequences")


def _option(text: str, *flags: str, **more: object) -> object:
    return typer.Option(*flags, help=text, rich_help_panel=SERVING, **more)  # type: ignore[arg-type]


@options.with_settings(
    without=NOT_TAKEN,
    texts={"concurrency": "Maximum optimized requests at a time, and calls in flight per server."},
    defaults={"retry_timeout": RETRY_TIMEOUT},
)
def serve(
    given: options.Given,
    host: Annotated[str, _option("Address to listen on.", metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, _option("Port; 0 chooses a free one.", metavar="PORT", min=0, max=65535)] = 8080,
    name: Annotated[
        str | None, _option("Model name for clients. [dim]\\[default: the policy's][/dim]", metavar="NAME")
    ] = None,
    api_keys: Annotated[
        Path | None,
        _option(
            f"File of API keys for clients, one a line; {KEYS_VARIABLE} holds some by commas.",
            parser=options.parse_path,
            metavar="FILE",
        ),
    ] = None,
    max_body: Annotated[int, _option("Maximum size of a request in MiB.", metavar="MIB", min=1)] = 8,
    max_messages: Annotated[int, _option("Maximum messages of a request.", metavar="K", min=1)] = 1024,
    max_n: Annotated[int, _option("Maximum choices of a reply.", metavar="K", min=1)] = 16,
    max_sample_size: Annotated[int, _option("Maximum N of a request.", metavar="N", min=1)] = 16,
    max_steps: Annotated[int, _option("Maximum D of a request.", metavar="D", min=0)] = 5,
    allow_method: Annotated[
        list[str] | None,
        _option(
            "Method that requests may name. Repeatable. [dim]\\[default: all][/dim]",
            metavar="NAME",
        ),
    ] = None,
    max_token_budget: Annotated[
        int | None,
        _option(
            "Maximum token budget, for requests without one too. [dim]\\[default: none][/dim]",
            metavar="TOKENS",
            min=1,
        ),
    ] = None,
    max_deadline: Annotated[
        float | None,
        _option(
            "Maximum deadline in seconds, also for requests without a deadline. [dim]\\[default: none][/dim]",
            metavar="SECONDS",
            min=0.001,
        ),
    ] = None,
    max_waiting: Annotated[
        int, _option("Maximum queued requests; further ones get 429.", metavar="K", min=0)
    ] = 1024,
    degrade: Annotated[
        bool,
        _option(
            "If a model fails, answer with the best response of the pool or an unscored sample.", "--degrade"
        ),
    ] = False,
    progress: Annotated[
        bool,
        _option("Stream progress as reasoning; a request may override it.", "--progress/--no-progress"),
    ] = True,
    store: Annotated[
        Path | None,
        _option("Run directory to keep trajectories in.", parser=options.parse_path, metavar="DIR"),
    ] = None,
    drain: Annotated[
        int, _option("Seconds that requests in progress have at a shutdown.", metavar="SECONDS", min=1)
    ] = 300,
) -> None:
    """Serve optimized answers behind the APIs of OpenAI and Anthropic.

    Listens on 127.0.0.1 by default, until SIGTERM or Ctrl-C.
    """
    from tpo.cli.common import settings_of
    from tpo.errors import MissingExtra

    try:
        from tpo.serve.request import Limits
        from tpo.serve.server import ServeOptions
    except ImportError as error:
        raise MissingExtra(error.name or "starlette", "serve", "tpo serve") from error
    settings = settings_of(given)
    chosen = ServeOptions(
        host=host,
        port=port,
        name=name,
        keys=read_keys(api_keys, os.environ.get(KEYS_VARIABLE, "")),
        limits=Limits(
            body_bytes=max_body * 2**20,
            messages=max_messages,
            n=max_n,
            sample_size=max_sample_size,
            max_iterations=max_steps,
            methods=None if not allow_method else tuple(allow_method),
            token_budget=max_token_budget,
            deadline=max_deadline,
            waiting=max_waiting,
        ).allowing(settings),
        degrade=degrade,
        progress=progress,
        store=store,
        drain=drain,
    )
    from tpo.cli.serve_session import run_endpoint

    run_endpoint(settings, chosen)
