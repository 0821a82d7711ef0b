"""Check of every server of the policy: connection, API key, model name, and one generated token."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tpo.config import policy_spec
from tpo.config.specs import policy_options
from tpo.doctor.finding import failure, good, warning
from tpo.doctor.setup import BRIEF_RETRY, CheckState, ProbedPolicy, Setup
from tpo.errors import PolicyError
from tpo.http import Balancer, HttpClient, HttpFailure
from tpo.http.address import is_loopback
from tpo.policies.openai import OpenAIPolicy

CHECK = "server"
LIMITS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""Names of the context length in model lists: vLLM and SGLang use the first, gateways the others."""
TIMEOUT = 120.0
"""Maximum read timeout of a check, in seconds."""


async def check_servers(setup: Setup, state: CheckState) -> None:
    """Check each URL by itself, so that the finding names a server that is down."""
    unreachable: list[HttpFailure] = []
    for url in policy_spec(setup.settings.policy).urls:
        try:
            await _check_server(url, setup, state)
        except HttpFailure as error:
            if error.unreachable or error.passes:
                unreachable.append(error)
            else:
                state.report(failure(CHECK, str(error), _advice(str(error))))
        except PolicyError as error:
            state.report(failure(CHECK, str(error), _advice(str(error))))
    _report_unreachable(unreachable, state)


def _report_unreachable(errors: list[HttpFailure], state: CheckState) -> None:
    """Report servers that do not answer: a warning if another server does, else a failure."""
    for error in errors:
        if state.policies:
            advice = "a run would start without this server and use it once it answers"
            state.report(warning(CHECK, str(error), advice))
        else:
            state.report(failure(CHECK, str(error), _advice(str(error))))


async def _check_server(url: str, setup: Setup, state: CheckState) -> None:
    timeout = min(TIMEOUT, setup.settings.timeout)
    client = HttpClient(url, setup.api_key, timeout=timeout)
    state.close_later(client)
    rows = await _models(client, may_lack=setup.settings.model is not None)
    settings = setup.settings
    policy = OpenAIPolicy(
        url,
        settings.model or state.model,
        setup.api_key,
        extra=settings.policy_extra,
        timeout=timeout,
        retry=BRIEF_RETRY,
        sampling=policy_options(settings).sampling,
    )
    state.close_later(policy)
    try:
        await policy.check()
    except PolicyError as error:
        cause = error.__cause__
        if isinstance(cause, HttpFailure) and (cause.unreachable or cause.passes):
            raise cause from error
        raise
    state.model = state.model or policy.model
    context = _context(rows, policy.model)
    state.policies.append(ProbedPolicy(client.address, policy, client.address, context))
    limit = f", which accepts up to {context:,} tokens" if context else ""
    sentence = f"{client.address} answers as {policy.model!r}{limit}"
    state.report(good(CHECK, sentence, url=client.address, model=policy.model, context=context))
    _report_model_name(client.address, rows, policy.model, state)
    _report_key(client.address, setup.api_key is not None, state)


async def _models(client: HttpClient, *, may_lack: bool) -> list[dict[str, Any]]:
    """Return the rows of the server's model list; none if it has no such list and *may_lack* it."""
    try:
        balancer = Balancer([(client.address, client)], retry=BRIEF_RETRY)
        reply = await balancer.ask("", lambda it: it.request("GET", "/models", read=lambda reply: reply))
    except HttpFailure as error:
        if may_lack and error.status == 404:
            return []
        raise
    rows = reply.get("data") if isinstance(reply, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _context(rows: list[dict[str, Any]], model: str | None) -> int | None:
    row = next((row for row in rows if row.get("id") == model), {})
    limits = [row.get(name) for name in LIMITS]
    return next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)


def _report_model_name(
    address: str, rows: list[dict[str, Any]], model: str | None, state: CheckState
) -> None:
    names = [str(row.get("id")) for row in rows]
    if names and model not in names:
        listed = ", ".join(repr(name)[:100] for name in names[:5])
        sentence = f"{address} accepts the model name {model!r}, but lists {listed}"
        state.report(warning("model", sentence, "check that it is the model you want", listed=names[:50]))


def _report_key(address: str, has_key: bool, state: CheckState) -> None:
    if has_key and urlsplit(address).scheme == "http" and not is_loopback(address):
        sentence = f"the API key is sent to {urlsplit(address).hostname} unencrypted"
        state.report(warning("key", sentence, "use https, or a tunnel"))
    elif has_key:
        state.report(good("key", "the server accepted the API key from the environment"))
    else:
        state.report(good("key", "no API key is set, and the server requires none"))


def _advice(error: str) -> str:
    if "no server answers" in error:
        return "start the server, or correct --policy; a server in a container must listen on 0.0.0.0"
    if "name one with --model" in error:
        return "add --model NAME"
    return ""
