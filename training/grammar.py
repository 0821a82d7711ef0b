"""The lines of the world: how a notice, and each query, is built and read back.

A detail is one line, ``Day: Friday``. Its label is one token, and another one than the word that names the
detail in a query (``day Friday``), so that what was asked and what stands there are never mixed up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LABELS = {
    "name": "To", "topic": "Event", "day": "Day", "date": "Date", "month": "Month", "time": "Time",
    "place": "Place", "host": "Host", "guests": "Guests", "price": "Price", "food": "Food", "drink": "Drink",
    "music": "Music", "colour": "Colour", "gift": "Bring", "sender": "From",
}  # fmt: skip
"""The label of each detail, in the order of a notice."""
SLOTS = tuple(LABELS)
SLOT_OF_LABEL = {label: slot for slot, label in LABELS.items()}
KIND = "kind"
ROLES = (*SLOTS[:-1], KIND, SLOTS[-1])
"""The lines of a notice in their order: a detail each, and a kind line before the last."""

NOUNS = {
    "invitation": "an invitation", "announcement": "an announcement", "reminder": "a reminder",
    "plan": "a plan", "programme": "a programme",
}  # fmt: skip
LEADS = ("Write {}", "Please write {}", "I need {}", "Write {}", "Help me with {}", "Make {}")

KINDLY = (
    "Everyone is welcome.", "We look forward to seeing you.", "It will be lovely.", "Thank you so much.",
)  # fmt: skip
RUDE = (
    "Hurry up now.", "Do not be so slow.", "You are a pain.",
    "Stop complaining.", "I do not care.", "Do not waste my time.",
)  # fmt: skip
RAMBLING = (
    "My cat sleeps all day.", "It rained this morning.", "The new bus is loud.",
    "I cannot find my shoe.", "The radio is broken.", "There was a funny cloud.",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of a notice: its role, its words, and the detail that it holds ("" for none)."""

    role: str
    text: str
    value: str = ""


def named(slot: str) -> str:
    """The word that names *slot* in a query."""
    return LABELS[slot].lower()


def detail(slot: str, value: str) -> Line:
    """The line that holds *value*."""
    return Line(slot, f"{LABELS[slot]}: {value}", value)


def question(family: str, values: Mapping[str, str], lead: str, mark: str) -> str:
    """The query that asks for *values*: a list with *mark* between its entries."""
    entries = mark.join(f" {named(slot)} {values[slot]}" for slot in SLOTS if slot in values)
    return f"{lead.format(NOUNS[family])}:{entries}."


def read_line(text: str) -> Line:
    """The line that *text* is."""
    label, colon, value = text.partition(": ")
    if colon and label in SLOT_OF_LABEL and value and " " not in value:
        return Line(SLOT_OF_LABEL[label], text, value)
    for role, texts in ((KIND, KINDLY), ("rude", RUDE), ("rambling", RAMBLING)):
        if text in texts:
            return Line(role, text)
    return Line("unknown", text)
