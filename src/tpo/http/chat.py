"""Chat completions as JSON: what is asked, and how the many dialects of the answer are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

from tpo.errors import ConfigError
from tpo.http.failures import HttpFailure, choice_error
from tpo.http.refusals import LIMIT_FIELDS
from tpo.reasoning import split_reasoning
from tpo.types import (
    Completion,
    ExtendedSampling,
    FinishReason,
    Message,
    Messages,
    Sampling,
    Served,
    ToolCallCompletion,
    Usage,
    WeighedSampling,
    plain_text,
    user,
)

OWN_FIELDS = {"messages", "model", "n", "stream"}
"""Fields that extra ones may not touch, since the reading of replies rests on them."""
LONG_COPY = 64
"""Characters from which two equal samples are no coincidence that is left alone."""
_STOPPED = {
    *("stop", "eos", "eos_token", "stop_sequence", "stop_token", "end_turn", "complete", "word"),
    *("stopped_eos", "stopped_word"),
}
_CUT = {
    *("length", "max_tokens", "model_length", "max_new_tokens", "max_output_tokens", "limit"),
    *("stopped_limit",),
}
"""In the words of OpenAI, TGI, llama.cpp, Anthropic, Cohere, Gemini and Mistral."""


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
    streams: bool = False,
    counts: bool = True,
) -> dict[str, Any]:
    """The request for ``sampling.n`` choices; *extra* wins, and a None in it leaves its field out.

    *limit_field* is what the server calls the reply's limit. With *streams*, a stream is requested, which if
    *counts* ends with the usage.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": sendable(messages),
        "stream": streams,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        limit_field: sampling.max_tokens,
        "seed": sampling.seed,
    }
    if streams and counts:
        body["stream_options"] = {"include_usage": True}
    if sampling.n > 1:
        body["n"] = sampling.n
    if isinstance(sampling, WeighedSampling):
        body |= {"logprobs": True, "top_logprobs": sampling.alternatives}
    if isinstance(sampling, ExtendedSampling):
        body |= sampling.extra
    return {name: value for name, value in (body | dict(extra)).items() if value is not None}


def sendable(messages: Messages) -> list[Message]:
    """Return *messages* without empty turns of the assistant, which servers refuse; calls of tools are kept.

    Turns of the user that then follow each other are one turn, since many templates let roles alternate.
    """
    sent: list[Message] = []
    dropped = False
    for message in messages:
        is_empty = not plain_text(message).strip() and not dict(message).get("tool_calls")
        if message["role"] == "assistant" and is_empty:
            dropped = True
            continue
        last = sent[-1] if sent and dropped else None
        if last is not None and last["role"] == message["role"] == "user":
            sent[-1] = _joined(last, message)
        else:
            sent.append(message)
        dropped = False
    return sent


def without_system_role(messages: Messages) -> Messages:
    """Return *messages* with the system text in the first user turn, for models without such a role."""
    texts = [plain_text(message) for message in messages if message["role"] == "system"]
    rest = [message for message in messages if message["role"] != "system"]
    first = next((i for i, message in enumerate(rest) if message["role"] == "user"), None)
    if not texts or first is None:
        return messages
    rest[first] = _joined(user("\n\n".join(texts)), rest[first])
    return tuple(rest)


def _joined(first: Message, second: Message) -> Message:
    """Return one turn of two, in parts if one of them is."""
    contents = first["content"], second["content"]
    if isinstance(contents[0], str) and isinstance(contents[1], str):
        return {**second, "content": f"{contents[0]}\n\n{contents[1]}"}
    parts = [it if isinstance(it, list) else [{"type": "text", "text": it or ""}] for it in contents]
    return {**second, "content": [*parts[0], *parts[1]]}


def read_completions(reply: Any, n: int, served: Served | None = None) -> list[Completion]:
    """The choices of *reply*, at most *n*, in order; the request's whole usage stands with the first.

    *served* is who wrote them. llama.cpp's server counts the tokens of the first choice alone; those of the
    others are then estimated by the length of their texts.

    Raises:
        HttpFailure: there is none, or the reply has another shape. Servers do send such things now and then,
            and the next try is answered well, so it passes.
    """
    choices = reply.get("choices") if isinstance(reply, dict) else None
    choices = [it for it in choices if not choice_error(it)] if isinstance(choices, list) else []
    if not choices:
        raise HttpFailure("the server sent a reply without choices", passes=True)
    indices = _indices(choices, n)
    found = {index: choice for index, choice in zip(indices, choices, strict=True) if index < n}
    usage = read_usage(reply.get("usage"))
    usages = chain([usage], repeat(Usage()))
    read = [_completion(index, found[index], next(usages), served) for index in sorted(found)]
    timings = reply.get("timings")
    if isinstance(timings, dict) and timings.get("predicted_n") == usage.completion_tokens:
        return _with_estimated_tokens(read)
    return read


def _with_estimated_tokens(completions: list[Completion]) -> list[Completion]:
    """Return *completions* with tokens for all, in proportion to the first one's characters."""
    sizes = [len(completion.text) + len(completion.reasoning or "") for completion in completions]
    rate = completions[0].usage.completion_tokens / max(1, sizes[0])
    rest = zip(completions[1:], sizes[1:], strict=True)
    counted = (replace(each, usage=Usage(completion_tokens=round(rate * size))) for each, size in rest)
    return [completions[0], *counted]


def read_pieces(event: Any) -> list[tuple[int, str, str]]:
    """Return index, text and reasoning of each piece of a choice in *event* of a stream."""
    choices = event.get("choices") if isinstance(event, dict) else None
    found: list[tuple[int, str, str]] = []
    for choice in choices if isinstance(choices, list) else ():
        said = choice.get("delta") if isinstance(choice, dict) else None
        index = choice.get("index") or 0 if isinstance(choice, dict) else None
        if isinstance(said, dict) and isinstance(index, int):
            reasoning = text_of(said.get("reasoning_content")) or text_of(said.get("reasoning"))
            found.append((index, text_of(said.get("content")) or text_of(said.get("refusal")), reasoning))
    return found


def are_copies(completions: Sequence[Completion]) -> bool:
    """Return whether several samples are the same text, too long for chance.

    A server may draw all choices of a request with the request's one seed (SGLang's deterministic inference).
    """
    texts = {completion.text for completion in completions}
    return len(completions) > 1 and len(texts) == 1 and len(completions[0].text) >= LONG_COPY


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
    told = text_of(message.get("reasoning_content")) or text_of(message.get("reasoning"))
    # A refusal is what the model answers; null content is an answer without words.
    answer = split_reasoning(text_of(message.get("content")) or text_of(message.get("refusal")))
    reasoning = "\n\n".join(filter(None, (told, answer.reasoning))) or None
    values = index, answer.text, read_finish(choice.get("finish_reason")), usage, reasoning, served
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        return ToolCallCompletion(*values, tool_calls=tuple(calls))
    return Completion(*values, alternatives=_read_alternatives(choice.get("logprobs")))


def _read_alternatives(logprobs: Any) -> tuple[dict[str, float], ...]:
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


def text_of(content: Any) -> str:
    """Text as it is, or the text parts of content that comes in parts; of anything else nothing."""
    if isinstance(content, list):
        return "".join(text_of(part.get("text")) for part in content if isinstance(part, dict))
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
