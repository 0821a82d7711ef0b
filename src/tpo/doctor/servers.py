"""Every endpoint of the policy: reached, its key taken, its model known, a token written."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tpo.config import policy_spec
from tpo.config.specs import policy_options
from tpo.doctor.finding import failure, good, warning
from tpo.doctor.patient import BRIEF, Notes, Patient, Subject
from tpo.errors import PolicyError
from tpo.http import Balancer, HttpClient, HttpFailure
from tpo.http.address import is_loopback
from tpo.policies.openai import OpenAIPolicy

CHECK = "server"
LIMITS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""What servers call the longest conversation: vLLM and SGLang the first, gateways the others."""
SILENCE = 120.0


async def check_servers(patient: Patient, notes: Notes) -> None:
    """Each URL by itself, so that one that is down is named."""
    gone: list[HttpFailure] = []
    for url in policy_spec(patient.settings.policy).urls:
        try:
            await _check_server(url, patient, notes)
        except HttpFailure as error:
            if error.unreachable or error.passes:
                gone.append(error)
            else:
                notes.tell(failure(CHECK, str(error), _advice(str(error))))
        except PolicyError as error:
            notes.tell(failure(CHECK, str(error), _advice(str(error))))
    _tell_of_gone(gone, notes)


def _tell_of_gone(gone: list[HttpFailure], notes: Notes) -> None:
    """A run goes on without a server that does not answer, if there is another."""
    for error in gone:
        if notes.subjects:
            advice = "the run would start without it, and take it up when it is there"
            notes.tell(warning(CHECK, str(error), advice))
        else:
            notes.tell(failure(CHECK, str(error), _advice(str(error))))


async def _check_server(url: str, patient: Patient, notes: Notes) -> None:
    silence = min(SILENCE, patient.settings.timeout)
    client = HttpClient(url, patient.api_key, timeout=silence)
    notes.close_later(client)
    rows = await _models(client, may_lack=patient.settings.model is not None)
    settings = patient.settings
    policy = OpenAIPolicy(
        url,
        settings.model or notes.model,
        patient.api_key,
        extra=settings.policy_extra,
        timeout=silence,
        retry=BRIEF,
        sampling=policy_options(settings).sampling,
    )
    notes.close_later(policy)
    try:
        await policy.check()
    except PolicyError as error:
        cause = error.__cause__
        if isinstance(cause, HttpFailure) and (cause.unreachable or cause.passes):
            raise cause from error
        raise
    notes.model = notes.model or policy.model
    context = _context(rows, policy.model)
    notes.subjects.append(Subject(client.address, policy, client.address, context))
    limit = f", which reads up to {context:,} tokens" if context else ""
    answers = f"{client.address} answers as {policy.model!r}{limit}"
    notes.tell(good(CHECK, answers, url=client.address, model=policy.model, context=context))
    _tell_of_name(client.address, rows, policy.model, notes)
    _tell_of_key(client.address, patient.api_key is not None, notes)


async def _models(client: HttpClient, *, may_lack: bool) -> list[dict[str, Any]]:
    """The rows of the server's list of models; none where it has no such list, and *may_lack* it."""
    try:
        balancer = Balancer([(client.address, client)], retry=BRIEF)
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


def _tell_of_name(address: str, rows: list[dict[str, Any]], model: str | None, notes: Notes) -> None:
    names = [str(row.get("id")) for row in rows]
    if names and model not in names:
        listed = ", ".join(repr(name)[:100] for name in names[:5])
        sentence = f"{address} answers to the name {model!r}, but lists {listed}"
        notes.tell(warning("model", sentence, "make sure that it is the model you mean", listed=names[:50]))


def _tell_of_key(address: str, has_key: bool, notes: Notes) -> None:
    if has_key and urlsplit(address).scheme == "http" and not is_loopback(address):
        sentence = f"the key goes to {urlsplit(address).hostname} unencrypted"
        notes.tell(warning("key", sentence, "use https, or a tunnel"))
    elif has_key:
        notes.tell(good("key", "the key from the environment was not refused"))
    else:
        notes.tell(good("key", "no key is set, and none was asked for"))


def _advice(words: str) -> str:
    if "no server answers" in words:
        return "start it, or correct --policy; a server in a container must listen on 0.0.0.0"
    if "name one with --model" in words:
        return "give --model NAME"
    return ""
