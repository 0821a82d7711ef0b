"""Parsing of a judge's reply into a number: strictly, or not at all."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tpo.http import HttpFailure
from tpo.http.chat import read_finish, text_of
from tpo.reasoning import split_reasoning
from tpo.rewards.judge.wording import HIGHEST, LOWEST

_FENCED = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL)
_BEGINS = re.compile(r"\s*(?:```(?:json)?\s*)?(?:\{|\d\W*\Z)")
_BOXED = re.compile(r"\\boxed\{\s*(\d(?:\.\d+)?)\s*\}")
_GRADE = re.compile(r'\\boxed\{|\{\s*"score"')
_DECODER = json.JSONDecoder()
_SCORE = re.compile(r'"score"\s*:\s*"?(\d)')


@dataclass(frozen=True, slots=True)
class JudgeReply:
    """A judge's answer: its text, the tokens of it with their alternatives where given, and what it cost.

    *whole* is False of one that was cut before its grade, perhaps in its reasoning.
    """

    text: str
    tokens: tuple[dict[str, Any], ...]
    cost: int
    whole: bool = True

    @property
    def stated(self) -> float | None:
        """The score that it states, if it is whole."""
        return stated_score(self.text) if self.whole else None

    @property
    def last(self) -> JudgeReply:
        """The reply from its last grade on: reasoning may quote others."""
        places = [found.start() for found in _GRADE.finditer(self.text)]
        return replace(self, text=self.text[places[-1] :]) if places else self

    @property
    def reasons(self) -> bool:
        """Return whether reasoning stands before the answer."""
        return split_reasoning(self.text).reasoning is not None

    @property
    def has_alternatives(self) -> bool:
        """Return whether a token came with the likelihood of others."""
        return any(row.get("top_logprobs") for row in self.tokens)


def read_reply(reply: Any) -> JudgeReply:
    """The only choice of a chat completion.

    Raises:
        HttpFailure: there is none; the next try may be answered well.
    """
    try:
        choice = reply["choices"][0]
        content = text_of(choice["message"].get("content"))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise HttpFailure("the judge's server sent a reply without choices", passes=True) from error
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    rows = tuple(row for row in tokens if isinstance(row, dict)) if isinstance(tokens, list) else ()
    usage = reply.get("usage")
    cost = usage.get("total_tokens") if isinstance(usage, dict) else None
    cut = read_finish(choice.get("finish_reason")) == "length"
    answer = split_reasoning(content)
    whole = answer.ended and (not cut or answer.reasoning is not None or bool(_BEGINS.match(answer.text)))
    return JudgeReply(content, rows, cost if isinstance(cost, int) else 0, whole)


def stated_score(text: str) -> float | None:
    r"""The score that *text* states; None if it states none, several that differ, or one outside the scale.

    Taken are ``{"score": 7}`` as the whole reply, fenced as code or not, such an object inside a text, and a
    number alone; the object may lie in another one; else the last ``\boxed{7}``. A model's reasoning does not
    count, nor does anything where that never ended.
    """
    answer = split_reasoning(text)
    if not answer.ended:
        return None
    said = answer.text.strip()
    fenced = _FENCED.match(said)
    whole = fenced.group(1) if fenced else said
    scores = {score for value in _values(whole) for score in _scores(value)}
    if not scores and (boxed := _BOXED.findall(said)):
        return _score(boxed[-1])
    return scores.pop() if len(scores) == 1 else None


def _values(text: str) -> Iterator[Any]:
    """The JSON value that *text* is, or the objects in it."""
    try:
        yield json.loads(text)
        return
    except (ValueError, RecursionError):
        place = text.find("{")
    while place >= 0:
        try:
            value, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            yield value
        place = text.find("{", end)


def _scores(value: Any) -> Iterator[float]:
    if isinstance(value, dict) and "score" not in value:
        for inner in value.values():
            if isinstance(inner, dict):
                yield from _scores(inner)
        return
    score = _score(value.get("score") if isinstance(value, dict) else value)
    if score is not None:
        yield score


def _score(number: Any) -> float | None:
    if isinstance(number, str) and re.fullmatch(r"\d(\.\d+)?", number):
        number = float(number)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return float(number) if LOWEST <= number <= HIGHEST else None


def expected_score(reply: JudgeReply) -> float | None:
    """The mean of the scale under the judge's probabilities at the digit that it wrote.

    None where the reply states no score, or came without alternatives at that place.
    """
    stated = reply.stated
    place = _place(reply)
    if stated is None or place is None:
        return None
    row, before, after = place
    weights: dict[int, float] = {}
    alternatives = row.get("top_logprobs")
    for alternative in alternatives if isinstance(alternatives, list) else ():
        known = alternative if isinstance(alternative, dict) else {}
        digit, chance = _digit(known.get("token"), before, after), known.get("logprob")
        if digit is not None and isinstance(chance, int | float) and math.isfinite(chance):
            weights[digit] = max(weights.get(digit, 0.0), math.exp(min(0.0, chance)))
    total = math.fsum(weights.values())
    # The digit that was written must be among them, or these are not the alternatives to it.
    if int(stated) not in weights or not total > 0:
        return None
    return math.fsum(digit * weight for digit, weight in weights.items()) / total


def _place(reply: JudgeReply) -> tuple[dict[str, Any], str, str] | None:
    """The token that holds the score's digit, with what stands before and after it inside the token."""
    joined = "".join(str(row.get("token", "")) for row in reply.tokens)
    answer = max(0, joined.rfind(split_reasoning(reply.text).text))
    found = list(_SCORE.finditer(joined, answer))
    bare = re.compile(r"\s*(\d)\s*").fullmatch(joined, answer)
    if len(found) != 1 and not bare:
        return None
    at = bare.start(1) if bare else found[0].start(1)
    begin = 0
    for row in reply.tokens:
        token = str(row.get("token", ""))
        if begin <= at < begin + len(token):
            return row, token[: at - begin], token[at - begin + 1 :]
        begin += len(token)
    return None


def _digit(token: Any, before: str, after: str) -> int | None:
    """The digit of an alternative *token* that reads as the written one but for its digit."""
    if not isinstance(token, str) or len(token) != len(before) + 1 + len(after):
        return None
    digit = token[len(before)]
    fits = token.startswith(before) and token.endswith(after) and digit.isascii() and digit.isdigit()
    return int(digit) if fits and LOWEST <= int(digit) <= HIGHEST else None
