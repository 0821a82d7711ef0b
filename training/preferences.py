"""Preferences: several responses to one query, and votes on which is better."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tpo.types import Message, assistant, system, user
from training import grammar, outside
from training.cases import OTHER
from training.hidden import hidden_outside, hidden_score
from training.world import Rates, Task, draw_task, flawed, text_of

GROUP = 4
"""Responses to one query; every two of them are a pair."""
SHARPNESS = 2.0
"""How surely a vote follows the hidden score: a flaw of 0.5 wins 73 of 100 votes."""


@dataclass(frozen=True)
class Group:
    """Responses to one query with their hidden scores."""

    prompt: str
    texts: tuple[str, ...]
    hidden: tuple[float, ...]
    head: str | None = None

    def messages(self, index: int) -> tuple[Message, ...]:
        """The conversation that ends with response *index*."""
        head = (system(self.head),) if self.head else ()
        return (*head, user(self.prompt), assistant(self.texts[index]))

    def votes(self) -> list[tuple[int, int, float]]:
        """Every two different responses, and the share of the votes that the first of them gets."""
        return [
            (first, second, 1 / (1 + math.exp(-SHARPNESS * (self.hidden[first] - self.hidden[second]))))
            for first in range(len(self.texts))
            for second in range(first + 1, len(self.texts))
            if self.texts[first] != self.texts[second]
        ]


def synthetic_group(rng: random.Random, held_out: bool = False) -> Group:
    """Responses of the base policy's kind, some of them spoilt further."""
    head = rng.choice(outside.SYSTEMS) if rng.random() < 0.2 else None
    if rng.random() < 0.1:
        return _outside_group(rng, head)
    task = draw_task(rng, held_out)
    factors = [rng.choice((0.0, 0.2, 0.4, 0.7, 1.0)) for _ in range(GROUP)]
    rates = [(Rates() if rng.random() < 0.5 else OTHER).times(factor) for factor in factors]
    texts = [_spoil(text_of(flawed(task, rate, rng)), rng) for rate in rates]
    return Group(task.prompt, tuple(texts), tuple(hidden_score(task, text) for text in texts), head)


def group_of(task: Task, texts: Sequence[str]) -> Group:
    """Responses of the policy itself to the query of *task*."""
    return Group(task.prompt, tuple(texts), tuple(hidden_score(task, text) for text in texts))


def _outside_group(rng: random.Random, head: str | None) -> Group:
    task = draw_task(rng)
    texts = ["\n".join(outside.draw_answer(rng)) for _ in range(GROUP - 1)]
    texts.append(_spoil(text_of(flawed(task, Rates(), rng)), rng))
    return Group(outside.draw_query(rng), tuple(texts), tuple(map(hidden_outside, texts)), head)


def _spoil(text: str, rng: random.Random) -> str:
    """*text*, in one of eight draws with damage that the grammar does not know."""
    if rng.random() > 0.12:
        return text
    lines = text.split("\n")
    kind = rng.randrange(6)
    if kind == 0:
        return text[: rng.randint(0, len(text))]
    if kind == 1:
        return "\n".join(lines * 2)
    if kind == 2:
        words = text.split()
        rng.shuffle(words)
        return " ".join(words)
    if kind == 3:
        lines.insert(rng.randint(0, len(lines)), " ".join(rng.choices(text.split(), k=rng.randint(2, 8))))
    elif kind == 4:
        lines.insert(rng.randint(0, len(lines)), rng.choice(outside.ANSWERS))
    else:
        for line in rng.choices(grammar.RAMBLING + grammar.RUDE, k=rng.randint(1, 4)):
            lines.insert(rng.randint(0, len(lines)), line)
    return "\n".join(lines)


def accuracy(groups: Sequence[Group], rewards: Sequence[Sequence[float]]) -> float:
    """The share of pairs with different hidden scores that *rewards* order the same way."""
    right = total = 0
    for group, values in zip(groups, rewards, strict=True):
        for first in range(len(values)):
            for second in range(first + 1, len(values)):
                gap = group.hidden[first] - group.hidden[second]
                if abs(gap) > 1e-6:
                    total += 1
                    right += (values[first] > values[second]) == (gap > 0)
    return right / max(1, total)
