"""The endpoint as an ASGI application, for servers that start one themselves: uvicorn, Ray Serve."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from tpo.config import load_settings, make_method, name_model, stopping_rules
from tpo.errors import ConfigError
from tpo.runs.models import Relay, load_models
from tpo.serve.environment import KEYS_VARIABLE, RETRY_TIMEOUT, read_keys
from tpo.serve.request import Limits
from tpo.serve.server import ServeOptions, endpoint

log = logging.getLogger(__name__)


def create_app(
    *,
    name: str | None = None,
    keys: Sequence[str] | None = None,
    store: str | Path | None = None,
    **options: Any,
) -> Starlette:
    """Return the application of ``tpo serve``, which loads its models when the server starts it (lifespan).

    Args:
        name: the model's name for clients; None: the policy's own.
        keys: API keys of clients, those of ``TPO_SERVE_API_KEYS`` if None; without any, none is required.
        store: run directory for trajectories, one for each process.
        options: the settings of ``tpo serve`` by their names: ``policy``, ``reward``, ``sample_size``, ...;
            those that are not given come from the environment. ``concurrency`` limits optimized requests,
            ``sample_size`` and ``max_iterations`` what a request may ask for, as there.

    Raises:
        ConfigError: an option is unknown or wrong.
    """
    settings = load_settings(options, os.environ, defaults={"retry_timeout": RETRY_TIMEOUT})
    make_method(settings)
    if isinstance(keys, str):
        raise ConfigError("keys is one text; give a list of keys")
    if keys is None:
        keys = read_keys(None, os.environ.get(KEYS_VARIABLE, ""))
    if not keys:
        log.warning("no API key is required: set %s, or give keys", KEYS_VARIABLE)
    serving = ServeOptions(
        name=name,
        keys=tuple(keys),
        limits=Limits().allowing(settings),
        store=None if store is None else Path(store),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        named = await name_model(settings, os.environ)
        stopping_rules(named)
        models = await asyncio.to_thread(load_models, named, Relay())
        async with models.ready(), endpoint(models, named, serving, dict(os.environ)) as served:
            app.state.endpoint = served.app()
            yield

    async def forward(scope: Scope, receive: Receive, send: Send) -> None:
        await app.state.endpoint(scope, receive, send)

    app = Starlette(routes=[Mount("/", app=forward)], lifespan=lifespan)
    return app
