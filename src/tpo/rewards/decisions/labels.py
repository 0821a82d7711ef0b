"""Questions whose reply is a label, the probabilities that answer them, and how replies are read."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tpo.reasoning import split_reasoning
from tpo.types import Message, Usage

_ID_PREFIX = "token_id:"
_VERDICT = re.compile(r"\\boxed\{([^{}]*)\}|<answer>(.*?)</answer>|\[\[(.*?)\]\]", re.DOTALL)
Chances = dict[str, list[float]]
"""Log-probabilities of the tokens that spell each label."""


@dataclass(frozen=True, slots=True)
class LabelQuestion:
    """A prompt whose reply is one of *labels*.

    With a *second_turn* the first reply is free text, and the reply to that turn ends with the label; only
    whole replies are read then, so the model must be one that thinks.
    """

    messages: tuple[Message, ...]
    labels: tuple[str, ...]
    second_turn: Message | None = None


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """Probability of each label; they sum to 1.

    *mass* is the probability that the reply begins with a label at all; None where the server does not tell.
    """

    probabilities: Mapping[str, float]
    usage: Usage = field(default_factory=Usage)
    mass: float | None = None

    @property
    def tokens(self) -> int:
        """Tokens of the requests."""
        return self.usage.tokens


class UnreadableReply(Exception):
    """Replies that hold none of the labels; the text quotes one."""


def seed_of(messages: Sequence[Message], number: int = 0) -> int:
    """Return a seed that depends on nothing but the prompt: answers repeat wherever a server's seeds do."""
    digest = hashlib.sha256(repr(list(messages)).encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:4], "big") + number) % 2**31


def stated_label(text: str, labels: Sequence[str]) -> str | None:
    r"""Return the label that *text* is, alone or in quotes, or that it ends with as a marked verdict.

    Marks of a verdict are ``\boxed{A}``, ``[[A]]`` and ``<answer>A</answer>``. A model's reasoning does not
    count, nor does anything where that never ended.
    """
    answer = split_reasoning(text)
    if not answer.ended:
        return None
    marked = _VERDICT.findall(answer.text)
    said = "".join(marked[-1]) if marked else answer.text
    said = said.strip().strip("\"'`*.[]").casefold()
    return next((label for label in labels if label.casefold() == said), None)


def chances_by_id(alternatives: Mapping[str, float], ids: Mapping[str, int]) -> Chances | None:
    """Return the log-probability of each label's token; None where one that was asked for is missing."""
    found = {label: alternatives.get(f"{_ID_PREFIX}{token}") for label, token in ids.items()}
    known = {label: [chance] for label, chance in found.items() if chance is not None}
    return known if len(known) == len(ids) else None


def chances_by_text(alternatives: Mapping[str, float], labels: Sequence[str]) -> Chances | None:
    """Return the same from the likeliest tokens; None where no label is among them."""
    found: Chances = {label: [] for label in labels}
    for token, chance in alternatives.items():
        label = stated_label(token, labels)
        if label is not None:
            found[label].append(chance)
    return found if any(found.values()) else None


def normalized(chances: Chances, usage: Usage) -> LabelAnswer:
    """Return the probability of each label from the log-probabilities of the tokens that spell it."""
    highest = max(chance for each in chances.values() for chance in each)
    weights = {label: math.fsum(math.exp(one - highest) for one in each) for label, each in chances.items()}
    total = math.fsum(weights.values())
    mass = min(1.0, total * math.exp(min(0.0, highest)))
    return LabelAnswer({label: weight / total for label, weight in weights.items()}, usage, mass)
