"""Reading of refusals: what a server that refused a request wants instead, in the words of servers in use."""

from __future__ import annotations

import re

from tpo.http.failures import HttpFailure

LIMIT_FIELDS = ("max_tokens", "max_completion_tokens")
"""Names of the reply's token limit: nearly all servers accept the first, a few only the second."""

_CONTEXT = re.compile(
    r"(?:"
    r"(?:maximum )?context (?:length|window)(?: is| of)?(?: only)?"  # OpenAI, vLLM, SGLang, LM Studio
    r"|available context size"  # llama.cpp, by sentence
    r"|\bn_ctx"  # llama.cpp, by field
    r"|maximum allowed length"  # SGLang, of an input alone
    r"|maximum (?:model|prompt) length(?: is| of)?"  # vLLM, of an input alone; xAI
    r"|too large for model with"  # Mistral
    r"|max_seq_len"  # TensorRT-LLM
    r"|total number of tokens in (?:the|this) prompt cannot exceed"  # Cohere
    r"|max_new_tokens`? must be <="  # TGI, of both together
    r"|inputs`? must have less than"  # TGI, of an input alone
    r"|range of input length should be \[\d+,"  # Qwen's servers
    r"|prompt is too long: [\d,]+ tokens >"  # Anthropic and gateways before it
    r"|maximum number of (?:input )?tokens allowed"  # Gemini
    r") *[:(]? *(\d[\d,]*)",
    re.IGNORECASE,
)
_REPLY_LIMIT = re.compile(
    r"(?:"
    r"max_(?:completion_)?tokens is too large.*supports at most"  # OpenAI
    r"|range of `?max_(?:completion_)?tokens`? should be \[\d+,"  # Qwen's servers
    r"|max_(?:completion_)?tokens`?'? (?:must|should|has to) be (?:less than or equal to|at most|<=)"
    r") *(\d[\d,]*)",
    re.IGNORECASE | re.DOTALL,
)
_NOT_TAKEN = re.compile(
    r"unsupported|not supported|unrecogni[sz]ed|unknown|unexpected|not permitted|extra", re.IGNORECASE
)
_SAMPLING_FIELD = re.compile(r"['\"`](temperature|top_p|seed)['\"`]")
_SAMPLING_REFUSED = re.compile(
    _NOT_TAKEN.pattern + r"|does not support|cannot (?:both )?be|only the default", re.IGNORECASE
)
_NO_SYSTEM_ROLE = re.compile(
    r"system (?:role|messages?|prompts?|instructions?)[^.]{0,40}\bnot\b"
    r"|(?:not|n't) (?:support|accept|allow|enabled?)[^.]{0,30}\bsystem\b"
    r"|developer instruction is not enabled"
    r"|only (?:the )?'?\"?user'?\"?,?(?: and '?\"?(?:assistant|model)'?\"?)? roles? "
    r"|roles must alternate user/"
    r"|'system' is not one of"
    r"|role.{0,60}should be 'user'",
    re.IGNORECASE,
)


def told_context(failure: HttpFailure) -> int | None:
    """Return the context that a server names as it refuses a longer prompt; None if it names none."""
    return _number(_CONTEXT, failure)


def told_reply_limit(failure: HttpFailure) -> int | None:
    """Return the longest reply, in tokens, that a server names as it refuses to write a longer one."""
    return _number(_REPLY_LIMIT, failure)


def other_limit_field(failure: HttpFailure, field: str) -> str | None:
    """Return the other name of the reply's limit, if *field* is what the server does not take; else None."""
    if not refuses_field(failure, field):
        return None
    return next(name for name in LIMIT_FIELDS if name != field)


def refuses_field(failure: HttpFailure, field: str) -> bool:
    """Return whether a server's words say that it does not take *field*."""
    named = re.search(rf"\b{field}\b", failure.reason)
    return failure.status in (400, 422) and bool(named and _NOT_TAKEN.search(failure.reason))


def refused_sampling_field(failure: HttpFailure) -> str | None:
    """Return the sampling field whose value, or which at all, a server's words say that it does not take."""
    if failure.status not in (400, 422) or not _SAMPLING_REFUSED.search(failure.reason):
        return None
    found = _SAMPLING_FIELD.search(failure.reason)
    return None if found is None else found.group(1)


def refuses_system_role(failure: HttpFailure) -> bool:
    """Return whether a server's words say that its model takes no system turn."""
    return failure.status is not None and says_no_system_role(failure.reason)


def says_no_system_role(reason: str) -> bool:
    """Return whether *reason*, of a server or of a chat template, says that a model takes no system turn."""
    return bool(_NO_SYSTEM_ROLE.search(reason))


def may_refuse_n(failure: HttpFailure) -> bool:
    """Return whether an error may be about several choices: the server failed, and does not ask to wait."""
    waits = failure.busy or failure.retry_after is not None
    return failure.status is not None and failure.status >= 500 and not waits


def _number(pattern: re.Pattern[str], failure: HttpFailure) -> int | None:
    found = pattern.search(failure.reason) if failure.status is not None else None
    return None if found is None else int(found.group(1).replace(",", ""))
