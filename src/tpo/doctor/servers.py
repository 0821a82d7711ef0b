"""Check of every server of the policy: connection, API key, model name, and one generated token."""

from __future__ import annotations

from urllib.parse import urlsplit

from tpo.config import policy_spec
from tpo.config.specs import policy_options
from tpo.doctor.finding import failure, good, warning
from tpo.doctor.setup import BRIEF_RETRY, CheckState, ProbedPolicy, Setup
from tpo.errors import PolicyError
from tpo.http import Balancer, HttpClient, HttpFailure
from tpo.http.address import is_loopback
from tpo.http.model_cards import ModelCard, read_cards
from tpo.policies.openai import OpenAIPolicy

CHECK = "server"
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
    cards = await _models(client, may_lack=setup.settings.model is not None)
    settings = setup.settings
    policy = OpenAIPolicy(
        url,
        settings.model or state.model,
        setup.api_key,
        extra=settings.policy_fields,
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
    context = next((card.context for card in cards if card.name == policy.model), None)
    state.policies.append(ProbedPolicy(client.address, policy, client.address, context))
    limit = f", which accepts up to {context:,} tokens" if context else ""
    sentence = f"{client.address} answers as {policy.model!r}{limit}"
    state.report(good(CHECK, sentence, url=client.address, model=policy.model, context=context))
    _report_model_name(client.address, cards, policy.model, state)
    _report_key(client.address, setup.api_key is not None, state)


async def _models(client: HttpClient, *, may_lack: bool) -> list[ModelCard]:
    """Return the server's models; none if its list is unusable and *may_lack* it."""
    try:
        balancer = Balancer([(client.address, client)], retry=BRIEF_RETRY)
        return await balancer.ask("", lambda it: it.request("GET", "/models", read=read_cards))
    except HttpFailure as error:
        if may_lack and not error.unreachable and error.status not in (401, 403):
            return []
        raise


def _report_model_name(address: str, cards: list[ModelCard], model: str | None, state: CheckState) -> None:
    names = [card.name for card in cards]
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
    if "with --model" in error:
        return "add --model NAME"
    return ""
