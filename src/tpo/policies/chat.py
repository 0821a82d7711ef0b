"""Chat completions as JSON: what is asked, and how the many dialects of the answer are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from tpo.errors import ConfigError
from tpo.http import HttpFailure
from tpo.types import Completion, FinishReason, Messages, Sampling, Served, Usage, WeighedSampling

OWN_FIELDS = {"messages", "model", "n", "stream"}
"""Fields that extra ones may not touch, since the reading of replies rests on them."""
LIMIT_FIELDS = ("max_tokens", "max_completion_tokens")
"""What servers call the reply's limit: nearly all take the first, a few only the second."""
_NOT_TAKEN = re.compile(
    r"unsupported|not supported|unrecogni[sz]ed|unknown|unexpected|not permitted|extra", re.I
)
LONG_COPY = 64
"""Characters from which two equal samples are no coincidence that is left alone."""
_CONTEXT = re.compile(
    r"(?:maximum context length is|available context size \(|\bn_ctx|context (?:length|window) of)"
    r" *(\d[\d,]*)",
    re.I,
)
"""In the words of OpenAI and vLLM, of llama.cpp by sentence and by field, and of gateways."""
_STOPPED = {"stop", "eos", "end_turn", "stop_sequence"}
_CUT = {"length", "max_tokens", "model_length"}


def checked_extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    """*extra* if it leaves the fields alone that have a place of their own.

    Raises:
        ConfigError: it does not.
    """
    taken = sorted(OWN_FIELDS & set(extra))
    if taken:
        raise ConfigError(f"extra request fields may not hold {', '.join(taken)}: tpo sets these itself")
    return dict(extra)


def request_body(
    model: str,
    messages: Messages,
    sampling: Sampling,
    extra: Mapping[str, Any],
    *,
    limit_field: str = LIMIT_FIELDS[0],
) -> dict[str, Any]:
    """The request for ``sampling.n`` choices; *extra* wins, and a None in it leaves its field out.

    *limit_field* is what the server calls the reply's limit.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": list(messages),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        limit_field: sampling.max_tokens,
        "seed": sampling.seed,
    }
    if sampling.n > 1:
        body["n"] = sampling.n
    if isinstance(sampling, WeighedSampling):
        body |= {"logprobs": True, "top_logprobs": sampling.alternatives}
    return {name: value for name, value in (body | dict(extra)).items() if value is not None}


def read_completions(reply: Any, n: int, served: Served | None = None) -> list[Completion]:
    """The choices of *reply*, at most *n*, in order; the request's whole usage stands with the first.

    *served* is who wrote them.

    Raises:
        HttpFailure: there is none, or the reply has another shape. Servers do send such things now and then,
            and the next try is answered well, so it passes.
    """
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices:
        raise HttpFailure("the server sent a reply without choices", passes=True)
    indices = _indices(choices, n)
    found = {index: choice for index, choice in zip(indices, choices, strict=True) if index < n}
    usages = chain([read_usage(reply.get("usage"))], repeat(Usage()))
    return [_completion(index, found[index], next(usages), served) for index in sorted(found)]


def are_copies(completions: Sequence[Completion]) -> bool:
    """Return whether several samples are the same text, too long for chance.

    A server may draw all choices of a request with the request's one seed (SGLang's deterministic inference).
    """
    texts = {completion.text for completion in completions}
    return len(completions) > 1 and len(texts) == 1 and len(completions[0].text) >= LONG_COPY


def told_context(failure: HttpFailure) -> int | None:
    """The context that a server names as it refuses a prompt that is longer; None if it names none."""
    found = _CONTEXT.search(failure.reason) if failure.status in (400, 413, 422) else None
    return None if found is None else int(re.sub(r"\D", "", found.group(1)))


def _indices(choices: list[Any], n: int) -> list[int]:
    """Each choice's own index, or, where these cannot be right, its position."""
    indices = [choice.get("index") if isinstance(choice, dict) else None for choice in choices]
    own = [i for i in indices if isinstance(i, int) and i >= 0]
    usable = len(set(own)) == len(choices) and min(own) < n
    return own if usable else list(range(len(choices)))


def _completion(index: int, choice: Any, usage: Usage, served: Served | None) -> Completion:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise HttpFailure("the server sent a choice without a message", passes=True)
    reasoning = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
    # A refusal is what the model answers; null content is an answer without words.
    text = _text(message.get("content")) or _text(message.get("refusal"))
    return Completion(
        index,
        text,
        read_finish(choice.get("finish_reason")),
        usage,
        reasoning or None,
        served,
        alternatives=read_alternatives(choice.get("logprobs")),
    )


def read_alternatives(logprobs: Any) -> tuple[dict[str, float], ...]:
    """For each token of a choice, those it was likeliest to be, with their log-probabilities."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list):
        return ()
    return tuple(_alternatives(token) for token in tokens)


def _alternatives(token: Any) -> dict[str, float]:
    rows = token.get("top_logprobs") if isinstance(token, dict) else None
    return {
        row["token"]: float(row["logprob"])
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
        and isinstance(row.get("token"), str)
        and isinstance(row.get("logprob"), int | float)
        and -1e9 < row["logprob"] < 1e9  # neither nothing nor no number
    }


def _text(content: Any) -> str:
    """Text as it is, or the text parts of content that comes in parts; of anything else nothing."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def read_finish(reason: Any) -> FinishReason:
    """A server's finish reason in this package's words."""
    name = str(reason).lower()
    return "stop" if name in _STOPPED else "length" if name in _CUT else "other"


def read_usage(usage: Any) -> Usage:
    """One call and its tokens, as far as the server counts them."""
    if not isinstance(usage, dict):
        return Usage(calls=1)
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        1, _count(usage.get("prompt_tokens")), _count(cached), _count(usage.get("completion_tokens"))
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def other_limit_field(failure: HttpFailure, field: str) -> str | None:
    """The other name of the reply's limit, if *field* is what the server does not take; else None."""
    if failure.status not in (400, 422):
        return None
    reason = failure.reason
    if not (re.search(rf"\b{field}\b", reason) and _NOT_TAKEN.search(reason)):
        return None
    return next(name for name in LIMIT_FIELDS if name != field)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model as a server lists it; ``counts``: the server tells a prompt's tokens, as vLLM does."""

    name: str
    context: int | None = None
    counts: bool = False


def read_cards(reply: Any) -> list[ModelCard]:
    """The models that a server lists.

    Raises:
        HttpFailure: it sent something else.
    """
    rows = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        raise HttpFailure("the server's list of models cannot be read: name one with --model", fatal=True)
    return [_card(row) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _card(row: Mapping[str, Any]) -> ModelCard:
    """Under the names that vLLM and SGLang, OpenRouter, Groq, and llama.cpp have for the context."""
    contexts = [_count(row.get(name)) for name in ("max_model_len", "context_length", "context_window")]
    meta = row.get("meta")
    contexts.append(_count(meta.get("n_ctx")) if isinstance(meta, dict) else 0)
    return ModelCard(row["id"], next(filter(None, contexts), None), counts=bool(contexts[0]))


def read_count(reply: Any) -> int:
    """The number of tokens that a server's tokenizer made.

    Raises:
        HttpFailure: it sent something else.
    """
    count = reply.get("count") if isinstance(reply, dict) else None
    if not isinstance(count, int) or count < 0:
        raise HttpFailure("the server's count of tokens cannot be read")
    return count
