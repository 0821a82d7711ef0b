"""The truth about a draft: what is in it, what is wrong, which edits mend it, what obeying them gives."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from training import grammar
from training.grammar import Line
from training.world import Task, good_line, with_value

ROLE_NAMES = {
    "greeting": "greeting", "main": "main line", "when": "time line", "where": "place line",
    "warmth": "kind line", "closing": "closing",
}  # fmt: skip
RANK = {role: rank for rank, role in enumerate(grammar.ROLES)}
RIGHT, WRONG = "right", "wrong"
EXTRA_NAMES = {"rude": "rude", "rambling": "off topic", "repeated": "repeated", "unknown": "unclear"}


@dataclass(frozen=True)
class Item:
    """One detail: what was asked for, and what stands there ("" when nothing does)."""

    slot: str
    asked: str
    found: str

    @property
    def verdict(self) -> str:
        """``right``, ``wrong`` or ``missing``."""
        return "missing" if not self.found else "right" if self.found == self.asked else "wrong"


@dataclass(frozen=True)
class Extra:
    """A line that does not belong there, and why."""

    kind: str
    text: str


@dataclass(frozen=True)
class Findings:
    """A draft held against its task; *notes* are its lines, each with its verdict."""

    notes: tuple[tuple[str, str], ...]
    items: tuple[Item, ...]
    warm: bool
    extras: tuple[Extra, ...]
    body: dict[str, Line]

    @property
    def flaws(self) -> tuple[str, ...]:
        """Each flaw in two or three words, in the order of the message."""
        missing = [
            f"no {ROLE_NAMES[grammar.ROLE_OF_SLOT[item.slot]]}"
            for item in self.items
            if item.verdict == "missing"
        ]
        wrong = [f"wrong {item.slot}" for item in self.items if item.verdict == "wrong"]
        cold = [] if self.warm else ["no kind line"]
        extra = [f"{EXTRA_NAMES[extra.kind]} line" for extra in self.extras]
        return tuple(dict.fromkeys(wrong + missing + cold + extra))


def examine(task: Task, lines: Sequence[Line]) -> Findings:
    """What *lines* hold of what *task* asks for, and what else."""
    body: dict[str, Line] = {}
    extras: list[Extra] = []
    notes: list[tuple[str, str]] = []
    for line in lines:
        if line.role in task.roles and line.role not in body:
            body[line.role] = line
            notes.append((line.text, _verdict(task, line)))
        else:
            kind = line.role if line.role in EXTRA_NAMES else "repeated" if line.role in body else "unknown"
            extras.append(Extra(kind, line.text))
            notes.append((line.text, EXTRA_NAMES[kind]))
    found = {slot: value for line in body.values() for slot, value in line.values.items()}
    items = tuple(
        Item(slot, task.values[slot], found.get(slot, "")) for slot in grammar.SLOTS if slot in task.values
    )
    return Findings(tuple(notes), items, "warmth" in body, tuple(extras), body)


def _verdict(task: Task, line: Line) -> str:
    """Each detail as it was asked for and as it stands there: comparing is then copying twice."""
    slots = [slot for slot in grammar.SLOTS_OF_ROLE[line.role] if slot in task.values]
    found = {slot: line.values.get(slot, "nothing") for slot in slots}
    verdicts = {slot: RIGHT if value == task.values[slot] else WRONG for slot, value in found.items()}
    details = [f"asked {task.values[slot]}, has {found[slot]}, {verdicts[slot]}" for slot in slots]
    return "; ".join(details) or RIGHT


def _is_right(verdict: str) -> bool:
    """Whether nothing is wrong with a line of this verdict."""
    return verdict.endswith(RIGHT) and f", {WRONG}" not in verdict


def loss_text(task: Task, findings: Findings, rejected: Findings | None) -> str:
    """The textual loss: each line with its verdict, what is missing, and the rejected response's worst."""
    lines = noted(findings.notes)
    lines.append(f"Missing: {', '.join(_missing(task, findings)) or 'nothing'}")
    return "\n".join(lines if rejected is None else [*lines, f"Rejected: {_worst(task, rejected)}"])


def noted(notes: Sequence[tuple[str, str]]) -> list[str]:
    """Lines, each with its verdict behind it."""
    return [f"{text} - {verdict}" for text, verdict in notes]


def _missing(task: Task, findings: Findings) -> list[str]:
    """Each missing line with the details that it should hold."""
    missing = []
    for role in task.roles:
        if role not in findings.body:
            values = [task.values[slot] for slot in grammar.SLOTS_OF_ROLE[role] if slot in task.values]
            missing.append(" ".join((ROLE_NAMES[role], " and ".join(values))).strip())
    return missing


def _worst(task: Task, findings: Findings) -> str:
    bad = [note for note in findings.notes if not _is_right(note[1])]
    missing = _missing(task, findings)
    return noted(bad)[0] if bad else f"no {missing[0]}" if missing else "no flaw"


@dataclass(frozen=True)
class Edit:
    """One order: ``write`` a line in place of the one with its role, ``add`` one, or ``remove`` one."""

    kind: Literal["write", "add", "remove"]
    role: str
    text: str


def fixes(task: Task, findings: Findings, rng: random.Random) -> tuple[Edit, ...]:
    """The edits that make the draft faultless."""
    edits: list[Edit] = []
    for role in task.roles:
        if role not in findings.body:
            edits.append(Edit("add", role, good_line(task, role, rng).text))
        elif (mended := _mended(task, findings.body[role])) != findings.body[role].text:
            edits.append(Edit("write", role, mended))
    return (*edits, *(Edit("remove", extra.kind, extra.text) for extra in findings.extras))


def _mended(task: Task, line: Line) -> str:
    for slot in grammar.SLOTS_OF_ROLE[line.role]:
        if slot in task.values and line.values.get(slot) != task.values[slot]:
            line = with_value(task, line, slot, task.values[slot])
    return line.text


WRITE = ('Change the {role} to "{text}"', 'Write the {role} as "{text}"', 'Replace the {role} by "{text}"')
ADD = ('Add the {role} "{text}"', 'Add a {role}: "{text}"', 'Put in the missing {role} "{text}"')
REMOVE = ('Remove the {kind} line "{text}"', 'Leave out "{text}"', 'Delete the line "{text}"')
KEEP = ("Change nothing.", "Keep the response as it is.", "Nothing needs to change.")


def gradient_text(edits: Sequence[Edit], rng: random.Random | None = None) -> str:
    """The textual gradient: one order a line, in its usual words or, with *rng*, in any."""
    pick = rng.choice if rng else (lambda choices: choices[0])
    if not edits:
        return str(pick(KEEP))
    lines = []
    for edit in edits:
        form = pick({"write": WRITE, "add": ADD, "remove": REMOVE}[edit.kind])
        lines.append(
            form.format(
                role=ROLE_NAMES.get(edit.role, ""), kind=EXTRA_NAMES.get(edit.role, ""), text=edit.text
            )
        )
    return "\n".join(lines)


def obey(lines: Sequence[Line], edits: Sequence[Edit]) -> str:
    """The text that following *edits* to the letter gives; all else is copied."""
    now = [(line.role, line.text) for line in lines]
    for edit in edits:
        roles = [role for role, _ in now]
        if edit.kind == "write" and edit.role in roles:
            now[roles.index(edit.role)] = (edit.role, edit.text)
        elif edit.kind == "remove":
            matches = [index for index, (_, text) in enumerate(now) if text == edit.text]
            if matches:
                del now[matches[-1]]
        else:
            before = [index for index, role in enumerate(roles) if RANK.get(role, 99) < RANK[edit.role]]
            place = len(now) if edit.role == "closing" else before[-1] + 1 if before else 0
            now.insert(place, (edit.role, edit.text))
    return "\n".join(text for _, text in now)


def wrong_order(task: Task, findings: Findings, rng: random.Random) -> Edit | None:
    """An order to change a detail of the draft, right or wrong, to something that nobody asked for."""
    from training.values import mistake

    roles = [role for role, line in findings.body.items() if line.values]
    if not roles:
        return None
    line = findings.body[rng.choice(roles)]
    slot = rng.choice(tuple(line.values))
    return Edit(
        "write",
        line.role,
        with_value(task, line, slot, mistake(slot, task.family, line.values[slot], rng)).text,
    )
