"""The world: queries, and the flaws of the notices that answer them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from training import grammar
from training.grammar import KIND, KINDLY, SLOTS, Line, detail, read_line
from training.values import mistake, pool

HELD_OUT_SHARE = 20
"""One combination of family, name, topic and day in so many is never trained on."""
FULL = (12, 15)
"""Fewest and most details of the queries that the pair is made for; a kind line is due as well."""


@dataclass(frozen=True)
class Task:
    """One query of the world, and the details that a good notice must hold."""

    family: str
    values: Mapping[str, str]
    prompt: str

    @property
    def held_out(self) -> bool:
        """Whether this combination is kept for evaluation."""
        key = "|".join((self.family, *(self.values.get(slot, "") for slot in ("name", "topic", "day"))))
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) % HELD_OUT_SHARE == 0

    @property
    def roles(self) -> tuple[str, ...]:
        """The lines that a good notice has, in their order."""
        return tuple(role for role in grammar.ROLES if role == KIND or role in self.values)


@dataclass(frozen=True)
class Rates:
    """How often each kind of flaw occurs in a draft."""

    wrong: float = 0.45
    missing: float = 0.28
    rude: float = 0.35
    rambling: float = 0.35
    neighbours: float = 0.9
    """Share of the wrong values that are the right one's neighbour in its list: sampling below temperature 1
    drops what is rare, so the base policy's mistakes are of few kinds."""

    def times(self, factor: float) -> Rates:
        """All rates scaled, none above 0.9."""
        scaled = {name: min(0.9, factor * rate) for name, rate in asdict(self).items()}
        return Rates(**scaled | {"neighbours": self.neighbours})


def draw_task(rng: random.Random, held_out: bool = False, details: tuple[int, int] = FULL) -> Task:
    """A query with so many *details*; from the held-out combinations or from all others."""
    while True:
        family = rng.choice(tuple(grammar.NOUNS))
        count = rng.randint(*details)
        slots = set(rng.sample(SLOTS, count))
        if count >= FULL[0] and not {"name", "topic", "sender"} <= slots:
            continue
        values = {slot: rng.choice(pool(slot, family)) for slot in SLOTS if slot in slots}
        people = [values[slot] for slot in ("name", "host", "sender") if slot in values]
        if len(set(people)) < len(people):
            continue
        mark = rng.choice((",", ",", ";"))
        task = Task(family, values, grammar.question(family, values, rng.choice(grammar.LEADS), mark))
        if task.held_out == held_out:
            return task


def good_line(task: Task, role: str, rng: random.Random) -> Line:
    """A faultless line for *role*."""
    return Line(KIND, rng.choice(KINDLY)) if role == KIND else detail(role, task.values[role])


def perfect(task: Task, rng: random.Random) -> tuple[Line, ...]:
    """A notice without flaws."""
    return tuple(good_line(task, role, rng) for role in task.roles)


def flawed(task: Task, rates: Rates, rng: random.Random) -> tuple[Line, ...]:
    """A draft of the kind that the base policy writes."""
    lines = []
    for line in perfect(task, rng):
        if rng.random() < rates.missing:
            continue
        if line.value and rng.random() < rates.wrong:
            line = detail(line.role, mistake(line.role, task.family, line.value, rng, rates.neighbours))
        lines.append(line)
    if rng.random() < rates.rambling:
        lines.insert(min(1, len(lines)), Line("rambling", rng.choice(grammar.RAMBLING)))
    if rng.random() < rates.rude:
        lines.append(Line("rude", rng.choice(grammar.RUDE)))
    return tuple(lines)


def text_of(lines: Sequence[Line]) -> str:
    """The notice: one line a detail."""
    return "\n".join(line.text for line in lines)


def read(text: str) -> tuple[Line, ...]:
    """The lines of *text*."""
    return tuple(read_line(line.strip()) for line in text.split("\n") if line.strip())
