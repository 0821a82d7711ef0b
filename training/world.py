"""What can be asked, and how a message that answers it goes wrong."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from training import grammar
from training.grammar import Line
from training.values import draw, mistake

HELD_OUT_SHARE = 20
"""One combination of family, name, topic and day in so many is never trained on."""


@dataclass(frozen=True)
class Task:
    """One query of the world, and the details that a good message must hold."""

    family: str
    values: Mapping[str, str]
    prompt: str

    @property
    def held_out(self) -> bool:
        """Whether this combination is kept for evaluation."""
        key = "|".join((self.family, self.values["name"], self.values["topic"], self.values.get("day", "")))
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) % HELD_OUT_SHARE == 0

    @property
    def roles(self) -> tuple[str, ...]:
        """The lines that a good message has, in their order."""
        have = {"when": "day" in self.values, "where": "place" in self.values}
        return tuple(role for role in grammar.ROLES if have.get(role, True))


@dataclass(frozen=True)
class Rates:
    """How often each kind of flaw occurs in a draft."""

    wrong: float = 0.13
    missing: float = 0.06
    cold: float = 0.22
    rude: float = 0.12
    repeated: float = 0.12
    rambling: float = 0.16
    neighbours: float = 0.5
    """Share of the wrong values that are the right one's neighbour in its list."""

    def times(self, factor: float) -> Rates:
        """All rates scaled, none above 0.9."""
        scaled = {name: min(0.9, factor * rate) for name, rate in asdict(self).items()}
        return Rates(**scaled | {"neighbours": self.neighbours})


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _question(family: str, values: Mapping[str, str], rng: random.Random) -> str:
    ask, noun = rng.choice(grammar.FAMILIES[family].ask), grammar.FAMILIES[family].noun
    polite = rng.choice(
        ("Please {}", "Can you write a short message to {}", "Write a few lines to {}", "{}", "{}")
    )
    lead = (
        polite.format(ask)
        if rng.random() < 0.6
        else rng.choice(("Write {}", "I need {}", "Please write {}")).format(noun)
    )
    when = (
        rng.choice((" on {day}{at}", ", for {day}{at}", ". When: on {day}{at}", " and mention {day}{at}"))
        if "day" in values
        else ""
    )
    where = rng.choice((" {place}", ", {place}", ". Where: {place}")) if "place" in values else ""
    sign = rng.choice(
        (". It is from {sender}.", ". Sign it as {sender}.", ". My name is {sender}.", ", from {sender}.")
    )
    return _upper(grammar.fill(lead + when + where + sign, values))


def draw_task(rng: random.Random, held_out: bool = False) -> Task:
    """A query; from the held-out combinations or from all others."""
    while True:
        family = rng.choice(tuple(grammar.FAMILIES))
        slots = ["name", "topic", "sender"]
        slots += ["day"] if rng.random() < 0.95 else []
        slots += ["time"] if "day" in slots and rng.random() < 0.8 else []
        slots += ["place"] if rng.random() < 0.75 else []
        values = {slot: draw(slot, family, rng) for slot in grammar.SLOTS if slot in slots}
        if values["name"] == values["sender"]:
            continue
        task = Task(family, values, _question(family, values, rng))
        if task.held_out == held_out:
            return task


def good_line(task: Task, role: str, rng: random.Random) -> Line:
    """A faultless line for *role*."""
    values = {slot: task.values[slot] for slot in grammar.SLOTS_OF_ROLE[role] if slot in task.values}
    return Line(role, grammar.fill(rng.choice(grammar.templates(task.family, role)), values), values)


def perfect(task: Task, rng: random.Random) -> tuple[Line, ...]:
    """A message without flaws."""
    return tuple(good_line(task, role, rng) for role in task.roles)


def with_value(task: Task, line: Line, slot: str, value: str) -> Line:
    """*line* with another value in *slot*."""
    _, template = grammar.read_line(task.family, line.text)
    values = {**line.values, slot: value}
    return replace(line, text=grammar.fill(template, values), values=values)


def _damage(task: Task, line: Line, rates: Rates, rng: random.Random) -> Line | None:
    """*line* with wrong details, or nothing when it is left out."""
    if rng.random() < (
        rates.cold if line.role == "warmth" else 0.0 if line.role == "main" else rates.missing
    ):
        return None
    for slot in line.values:
        if rng.random() < rates.wrong:
            line = with_value(
                task, line, slot, mistake(slot, task.family, task.values[slot], rng, rates.neighbours)
            )
    return line


def _insert(lines: list[Line], line: Line, rng: random.Random) -> None:
    lines.insert(rng.randint(min(1, len(lines)), max(1, len(lines) - 1)), line)


def flawed(task: Task, rates: Rates, rng: random.Random) -> tuple[Line, ...]:
    """A draft of the kind that the base policy writes."""
    lines = [line for good in perfect(task, rng) if (line := _damage(task, good, rates, rng))]
    if rng.random() < rates.repeated:
        index = rng.randrange(len(lines))
        lines.insert(index + 1, lines[index])
    if rng.random() < rates.rude:
        _insert(lines, Line("rude", rng.choice(grammar.RUDE)), rng)
    for _ in range(2):
        if rng.random() < rates.rambling:
            _insert(lines, Line("rambling", rng.choice(grammar.RAMBLING)), rng)
    return tuple(lines)


def text_of(lines: tuple[Line, ...]) -> str:
    """The message: one line a sentence."""
    return "\n".join(line.text for line in lines)


def read(task: Task, text: str) -> tuple[Line, ...]:
    """The lines that *text* has in the world of *task*."""
    return tuple(grammar.read_line(task.family, line.strip())[0] for line in text.split("\n") if line.strip())
