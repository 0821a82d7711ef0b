"""Run the endpoint on its port until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette

from tpo.config import Settings, policy_spec, selection_of
from tpo.config.specs import all_reward_specs, check_spec, role_specs
from tpo.errors import ConfigError
from tpo.http.address import base_address, proxy_of
from tpo.methods.named_models import api_key
from tpo.registry import ModelSpec
from tpo.rewards.ensemble import Ensemble
from tpo.runs.models import Models
from tpo.serve.app import Endpoint
from tpo.serve.keeper import Keeper
from tpo.serve.request import Limits
from tpo.serve.service import Service
from tpo.serve.upstream import Upstream
from tpo.types import EDITOR


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Options of the endpoint.

    Attributes:
        host, port: the address; port 0 takes a free one.
        name: the model's name for clients; None: the policy's own.
        keys: API keys of clients.
        limits: ceilings.
        degrade: answer with the best that can be had where a model fails.
        progress: stream progress.
        store: run directory for trajectories.
        drain: seconds that requests in progress get at a shutdown.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    name: str | None = None
    keys: tuple[str, ...] = field(default=(), repr=False)
    limits: Limits = field(default_factory=Limits)
    degrade: bool = False
    progress: bool = True
    store: Path | None = None
    drain: int = 300


@asynccontextmanager
async def endpoint(
    models: Models,
    settings: Settings,
    options: ServeOptions,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Endpoint]:
    """Yield the endpoint over *models*, which stay open; close its connections and its store afterwards.

    Raises:
        RewardError: the scales of an ensemble cannot be measured.
        StoreError: the directory of trajectories is in use, or of another run.
    """
    if isinstance(models.reward, Ensemble):
        await models.reward.scales()  # now, not with the first request
    spec = policy_spec(settings.policy)
    named = settings.model or spec.value.rstrip("/").rpartition("/")[2] or spec.name
    async with AsyncExitStack() as stack:
        upstream = None
        if spec.urls and not hasattr(spec, "members"):  # a panel has several models
            key = api_key(environment or {})
            extra = settings.policy_fields
            upstream = Upstream(spec.urls, named, key, timeout=settings.timeout, extra=extra)
            stack.push_async_callback(upstream.aclose)
        keeper = None
        if options.store is not None:
            keeper = await stack.enter_async_context(Keeper.opened(options.store, settings))
        selection = selection_of(settings, models.reward, environment, models.events)
        close = getattr(getattr(selection, "judge", None), "aclose", None)
        if close is not None:
            stack.push_async_callback(close)
        service = Service(
            models.policy,
            models.scorer,
            settings,
            options.name or named,
            limits=options.limits,
            hidden=_addresses(settings),
            degrade=options.degrade,
            progress=options.progress,
            keeper=keeper,
            selection=selection,
            is_local=_is_local(spec) or _is_local(role_specs(settings).get(EDITOR, spec)),
        )
        yield Endpoint(service, upstream, options.keys)


def _is_local(spec: ModelSpec[Any]) -> bool:
    """Return whether *spec*, or a member of the panel that it is, runs in this process with its weights."""
    return any(not each.urls and each.location is not None for each in getattr(spec, "members", (spec,)))


def _addresses(settings: Settings) -> list[str]:
    """Return the addresses of all models' servers in every form that an error may quote, longest first."""
    specs: list[ModelSpec[Any]] = [
        policy_spec(settings.policy),
        *role_specs(settings).values(),
        *all_reward_specs(settings),
    ]
    check = check_spec(settings)
    specs += [] if check is None else [check]
    urls = {url for spec in specs for url in spec.urls}
    if settings.select_judge is not None:
        urls.add(settings.select_judge.removeprefix("judge:").partition("#")[0])
    urls |= {base_address(url) for url in urls}
    hosts = {urlsplit(url).netloc for url in urls}
    proxies = {proxy for url in urls if (proxy := proxy_of(url)) is not None}
    return sorted((urls | hosts | proxies) - {""}, key=len, reverse=True)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ConfigError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio turns Nagle's algorithm off only then, else small replies wait 40 ms.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen(2048)
    except OSError as error:
        opened.close()
        raise ConfigError(
            f"cannot listen on port {port} of {host}: {error.strerror}; give another --port"
        ) from error
    return opened


async def serve_until_stopped(
    app: Starlette, opened: socket.socket, drain: int, ready: Callable[[], None]
) -> None:
    """Serve *app* until SIGTERM or Ctrl-C; requests in progress then get *drain* seconds to end."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=drain,
    )
    ready()
    await uvicorn.Server(config).serve(sockets=[opened])
