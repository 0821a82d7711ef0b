"""The truth about a draft: what is in it, what is wrong, which edits mend it, what obeying them gives."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from training import grammar
from training.grammar import KIND, LABELS, Line, detail, named
from training.values import mistake
from training.world import Task, good_line

RANK = {role: rank for rank, role in enumerate(grammar.ROLES)}
RIGHT, WRONG, MISSING = "right", "wrong", "missing"
EXTRA_NAMES = {"rude": "rude", "rambling": "off topic", "repeated": "repeated", "unknown": "unclear"}


@dataclass(frozen=True)
class Item:
    """One line that is due: what was asked for, and what stands there ("" when nothing does)."""

    role: str
    asked: str
    found: str

    @property
    def verdict(self) -> str:
        """``right``, ``wrong`` or ``missing``."""
        return MISSING if not self.found else RIGHT if self.found == self.asked else WRONG

    @property
    def note(self) -> str:
        """The item in the words of the textual loss: comparing is copying twice, then looking at both."""
        asked = "kind line" if self.role == KIND else f"{named(self.role)} {self.asked}"
        return f"Asked {asked}, has {self.found or 'nothing'}, {self.verdict}"


@dataclass(frozen=True)
class Findings:
    """A draft held against its task: the lines that are due, and those that do not belong there."""

    items: tuple[Item, ...]
    extras: tuple[Line, ...]
    body: dict[str, Line]

    @property
    def flaws(self) -> tuple[str, ...]:
        """Each flaw in two or three words."""
        wrong = [f"{item.verdict} {item.role}" for item in self.items if item.verdict != RIGHT]
        return (*wrong, *(f"{EXTRA_NAMES[extra.role]} line" for extra in self.extras))


def examine(task: Task, lines: Sequence[Line]) -> Findings:
    """What *lines* hold of what *task* asks for, and what else."""
    body: dict[str, Line] = {}
    extras: list[Line] = []
    for line in lines:
        if line.role in task.roles and line.role not in body:
            body[line.role] = line
        else:
            kind = line.role if line.role in EXTRA_NAMES else "repeated" if line.role in body else "unknown"
            extras.append(Line(kind, line.text))
    items = []
    for role in task.roles:
        found = "" if role not in body else body[role].value or "one"
        items.append(Item(role, task.values.get(role, "one"), found))
    return Findings(tuple(items), tuple(extras), body)


def loss_text(findings: Findings) -> str:
    """The textual loss: each line that is due with its verdict, then each that does not belong there."""
    return "\n".join([item.note for item in findings.items] + extra_notes(findings.extras))


def extra_notes(extras: Sequence[Line]) -> list[str]:
    """What does not belong there, each line with the reason."""
    return [f"Extra: {line.text} - {EXTRA_NAMES[line.role]}" for line in extras] or ["Extra: nothing"]


Kind = Literal["write", "add", "remove"]


@dataclass(frozen=True)
class Edit:
    """One order: ``write`` a line in place of the one with its role, ``add`` one, or ``remove`` one."""

    kind: Kind
    role: str
    text: str


def fixes(task: Task, findings: Findings, rng: random.Random) -> tuple[Edit, ...]:
    """The edits that make the draft faultless."""
    edits = [
        Edit("add" if item.verdict == MISSING else "write", item.role, good_line(task, item.role, rng).text)
        for item in findings.items
        if item.verdict != RIGHT
    ]
    return (*edits, *(Edit("remove", extra.role, extra.text) for extra in findings.extras))


FORMS: dict[Kind, tuple[str, ...]] = {
    "write": ('Write "{text}"', 'Change it to "{text}"', 'Correct it: "{text}"'),
    "add": ('Add "{text}"', 'Put in "{text}"', 'Include "{text}"'),
    "remove": ('Remove "{text}"', 'Leave out "{text}"', 'Delete "{text}"'),
}
KIND_STAYS = "Keep the kind line."
STAYS = "keep"
KEEP = ("Change nothing.", "Keep the response as it is.", "Nothing needs to change.")


def gradient_text(edits: Sequence[Edit], findings: Findings) -> str:
    """The textual gradient: for each line of the draft what is to stand there, or that it stays.

    Going through all of them is learned easily; to pick out those that are wrong is not.
    """
    orders = {edit.role: edit for edit in edits if edit.kind != "remove"}
    lines = []
    for role in grammar.ROLES:
        if role in orders:
            lines.append(
                FORMS["add"][0].format(text=orders[role].text) if role == KIND else orders[role].text
            )
        elif role in findings.body:
            lines.append(KIND_STAYS if role == KIND else f"{LABELS[role]}: {STAYS}")
    lines += [FORMS["remove"][0].format(text=edit.text) for edit in edits if edit.kind == "remove"]
    return "\n".join(lines)


def short_gradient(edits: Sequence[Edit], rng: random.Random) -> str:
    """Nothing but what is to change, in any words."""
    if not edits:
        return rng.choice(KEEP)
    return "\n".join(rng.choice(FORMS[edit.kind]).format(text=edit.text) for edit in edits)


def obey(lines: Sequence[Line], edits: Sequence[Edit]) -> str:
    """The text that following *edits* to the letter gives; all else is copied."""
    now = [(line.role, line.text) for line in lines]
    for edit in edits:
        roles = [role for role, _ in now]
        if edit.kind == "remove":
            matches = [index for index, (_, text) in enumerate(now) if text == edit.text]
            if matches:
                del now[matches[-1]]
        elif edit.role in roles:
            now[roles.index(edit.role)] = (edit.role, edit.text)
        else:
            before = [i for i, role in enumerate(roles) if RANK.get(role, 99) < RANK.get(edit.role, 98)]
            now.insert(before[-1] + 1 if before else 0, (edit.role, edit.text))
    return "\n".join(text for _, text in now)


def wrong_order(task: Task, findings: Findings, rng: random.Random) -> Edit | None:
    """An order to change a detail of the draft, right or wrong, to something that nobody asked for."""
    lines = [line for line in findings.body.values() if line.value]
    if not lines:
        return None
    line = rng.choice(lines)
    value = mistake(line.role, task.family, line.value, rng)
    return Edit("write", line.role, detail(line.role, value).text)
