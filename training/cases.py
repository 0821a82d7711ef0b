"""Cases: a query with its drafts, and the true or deliberately wrong texts of every role."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from training import critique, outside
from training.critique import (
    Edit,
    Extra,
    Findings,
    examine,
    fixes,
    gradient_text,
    loss_text,
    noted,
    obey,
    wrong_order,
)
from training.grammar import Line
from training.world import Rates, Task, draw_task, flawed, read, text_of

COUNTERFACTUAL = 0.5


@dataclass(frozen=True)
class Case:
    """What each turn of one protocol pass says; *true_gradient* tells whether the gradient may be taught."""

    prompt: str
    chosen: str
    rejected: str | None
    loss: str
    gradient: str
    improved: str
    true_gradient: bool


@dataclass(frozen=True)
class Draft:
    """A query of the world and several responses to it, as the policy wrote them."""

    task: Task
    texts: tuple[str, ...]


HEAVY = Rates(wrong=0.3, missing=0.12, cold=0.35, rude=0.2, repeated=0.2, rambling=0.3)
"""So many flaws that judging is about as often wrong as right."""


def draw_drafts(rng: random.Random, heavy: bool = False) -> tuple[Task, list[tuple[Line, ...]]]:
    """A new query with one to four drafts of the base policy's kind."""
    task = draw_task(rng)
    rates = HEAVY if heavy else Rates().times(rng.choice((0.4, 0.8, 1.2, 1.6)))
    return task, [flawed(task, rates, rng) for _ in range(rng.choice((1, 2, 2, 3, 4)))]


def world_case(rng: random.Random, own: Sequence[Draft] = (), heavy: bool = False) -> Case:
    """A case of the world; from *own* drafts of the policy when there are any, else *heavy* ones if so."""
    if own:
        draft = rng.choice(own)
        task, drafts = draft.task, [read(draft.task, text) for text in draft.texts]
    else:
        task, drafts = draw_drafts(rng, heavy)
    drafts = [lines for lines in drafts if lines] or [flawed(task, Rates(), rng)]
    drafts.sort(key=lambda lines: len(examine(task, lines).flaws))
    chosen = drafts[0] if rng.random() < 0.7 else rng.choice(drafts)
    return _case(task, chosen, drafts[-1] if text_of(drafts[-1]) != text_of(chosen) else None, rng)


def _case(
    task: Task, chosen: tuple[Line, ...], rejected: tuple[Line, ...] | None, rng: random.Random
) -> Case:
    findings = examine(task, chosen)
    true = rng.random() > COUNTERFACTUAL
    edits = fixes(task, findings, rng)
    if not true:
        edits = counterfactual(task, findings, edits, rng)
    empty = not true and not edits and rng.random() < 0.5
    return Case(
        task.prompt,
        text_of(chosen),
        text_of(rejected) if rejected else None,
        loss_text(task, findings, examine(task, rejected) if rejected else None),
        "" if empty else gradient_text(edits, None if true or rng.random() < 0.3 else rng),
        obey(chosen, edits),
        true,
    )


def counterfactual(
    task: Task, findings: Findings, edits: tuple[Edit, ...], rng: random.Random
) -> tuple[Edit, ...]:
    """Orders other than the right ones: fewer, none, wrong ones, or another query's."""
    kind = rng.random()
    if kind < 0.25:
        return tuple(edit for edit in edits if rng.random() < 0.5)
    if kind < 0.45:
        return ()
    if kind < 0.55:
        victim = rng.choice(tuple(findings.body.values())) if findings.body else None
        return (Edit("remove", "unknown", victim.text),) if victim else ()
    if kind < 0.65:
        return another(rng)
    wrong = [order for _ in range(rng.choice((1, 1, 2))) if (order := wrong_order(task, findings, rng))]
    wrong = list({order.role: order for order in wrong}.values())
    kept = [edit for edit in edits if edit.role not in {order.role for order in wrong} and rng.random() < 0.3]
    return (*wrong, *kept)


def another(rng: random.Random) -> tuple[Edit, ...]:
    """The right orders for another query's draft, those to remove a line left out."""
    task = draw_task(rng)
    edits = fixes(task, examine(task, flawed(task, Rates().times(1.5), rng)), rng)
    return tuple(edit for edit in edits if edit.kind == "write")


def outside_case(rng: random.Random) -> Case:
    """A case from outside the world: answered by a polite sentence, mended by taking out what is not."""
    drafts = [outside.draw_answer(rng) for _ in range(rng.choice((1, 2, 3)))]
    if rng.random() < 0.15:
        drafts[-1] = text_of(draw_drafts(rng)[1][0]).split("\n")
    drafts.sort(key=lambda lines: len(_impolite(lines)))
    chosen, rejected = drafts[0], drafts[-1] if drafts[-1] != drafts[0] else None
    extras, true = _impolite(chosen), rng.random() > COUNTERFACTUAL
    edits = [Edit("remove", extra.kind, extra.text) for extra in extras] if true or rng.random() < 0.3 else []
    if len(edits) == len(chosen):
        gradient, improved = f'Write only "{outside.ANSWERS[0]}"', outside.ANSWERS[0]
    else:
        improved = obey([Line("unknown", line) for line in chosen], edits)
        gradient = gradient_text(edits, None if true else rng)
    loss = [
        *noted(_notes(chosen)),
        "Missing: nothing" if len(extras) < len(chosen) else "Missing: polite answer",
    ]
    if rejected is not None:
        bad = [note for note in _notes(rejected) if note[1] != critique.RIGHT]
        loss.append(f"Rejected: {noted(bad)[0] if bad else 'no flaw'}")
    prompt = outside.draw_query(rng)
    return Case(
        prompt,
        "\n".join(chosen),
        "\n".join(rejected) if rejected else None,
        "\n".join(loss),
        gradient,
        improved,
        true,
    )


def _notes(lines: Sequence[str]) -> list[tuple[str, str]]:
    kinds = {extra.text: critique.EXTRA_NAMES[extra.kind] for extra in _impolite(lines)}
    return [(line, kinds.get(line, critique.RIGHT)) for line in lines]


def _impolite(lines: Sequence[str]) -> list[Extra]:
    from training.grammar import RAMBLING, RUDE

    kinds = {**dict.fromkeys(RUDE, "rude"), **dict.fromkeys(RAMBLING, "rambling")}
    return [Extra(kinds.get(line, "unknown"), line) for line in lines if not outside.is_polite(line)]
