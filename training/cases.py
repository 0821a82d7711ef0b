"""Cases: a query with its drafts, and the true or deliberately wrong texts of every role."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from training import critique, outside
from training.critique import Edit, Findings, examine, fixes, gradient_text, obey, short_gradient
from training.grammar import Line, read_line
from training.world import FULL, Rates, Task, draw_task, flawed, perfect, read, text_of

COUNTERFACTUAL, WRONG = 0.5, 0.3
BASE_FACTORS, CLEAN_FACTORS = (0.8, 1.0, 1.2), (0.0, 0.15, 0.3, 0.6, 1.0)
"""Factors on the rates of the base policy's drafts, and of those that the loop has improved."""

OTHER = Rates(neighbours=0.3)
"""Drafts with any mistake, so that comparing cannot rest on the base policy's own."""


@dataclass(frozen=True)
class Case:
    """The texts of one protocol pass.

    *base* tells whether the chosen draft is one that the base policy writes, *true_gradient* whether the
    gradient may be taught. *others* are more drafts, and *fused* is the best that can be made of all of them.
    """

    prompt: str
    chosen: str
    rejected: str | None
    loss: str
    gradient: str
    improved: str
    true_gradient: bool
    base: bool = False
    others: tuple[str, ...] = ()
    fused: str = ""


@dataclass(frozen=True)
class Draft:
    """A query of the world and several responses to it, as the policy wrote them."""

    task: Task
    texts: tuple[str, ...]


def world_case(
    rng: random.Random,
    own: Sequence[Draft] = (),
    details: tuple[int, int] = FULL,
    count: int | None = None,
    base_share: float = 0.5,
    counterfactual_share: float = COUNTERFACTUAL,
    wrong_share: float = WRONG,
) -> Case:
    """A case of the world with *count* drafts; from *own* drafts of the policy when there are any."""
    base = not own and rng.random() < base_share
    if own:
        draft = rng.choice(own)
        task, drafts = draft.task, [read(text) for text in draft.texts]
        rng.shuffle(drafts)
    else:
        task = draw_task(rng, details=details)
        rates = Rates().times(rng.choice(BASE_FACTORS)) if base else OTHER.times(rng.choice(CLEAN_FACTORS))
        drafts = [flawed(task, rates, rng)]
    missing = (count or 2) - len(drafts)
    drafts += [flawed(task, Rates().times(rng.choice(BASE_FACTORS)), rng) for _ in range(missing)]
    drafts = [lines for lines in drafts if lines] or [perfect(task, rng)]
    chosen, others = drafts[0], [lines for lines in drafts[1:] if lines != drafts[0]]
    findings = examine(task, chosen)
    true = rng.random() >= counterfactual_share
    edits = fixes(task, findings, rng)
    if not true:
        edits = counterfactual(task, findings, edits, rng, wrong_share)
    short = not true and rng.random() < 0.5
    empty = short and not edits and rng.random() < 0.7
    return Case(
        task.prompt,
        text_of(chosen),
        text_of(others[0]) if others else None,
        critique.loss_text(findings),
        "" if empty else short_gradient(edits, rng) if short else gradient_text(edits, findings),
        obey(chosen, edits),
        true,
        base,
        tuple(text_of(lines) for lines in others),
        fused_text(task, drafts),
    )


def fused_text(task: Task, drafts: Sequence[Sequence[Line]]) -> str:
    """The right lines of several drafts; where none has a line right, the first that has it."""
    found = [examine(task, lines) for lines in drafts]
    lines = []
    for index, role in enumerate(task.roles):
        have = [each for each in found if role in each.body]
        right = [each for each in have if each.items[index].verdict == critique.RIGHT]
        if have:
            lines.append((right or have)[0].body[role].text)
    return "\n".join(lines)


def counterfactual(
    task: Task, findings: Findings, edits: tuple[Edit, ...], rng: random.Random, wrong_share: float = WRONG
) -> tuple[Edit, ...]:
    """Orders other than the right ones: fewer, none, another query's, or wrong ones."""
    kind = rng.random() * 0.7 / (1 - wrong_share)
    if kind < 0.2:
        return tuple(edit for edit in edits if rng.random() < 0.5)
    if kind < 0.6:
        return ()
    if kind < 0.63:
        victim = rng.choice(tuple(findings.body.values())) if findings.body else None
        return (Edit("remove", "unknown", victim.text),) if victim else ()
    if kind < 0.7:
        return another(rng)
    wrong = [
        order for _ in range(rng.choice((1, 1, 2))) if (order := critique.wrong_order(task, findings, rng))
    ]
    wrong = list({order.role: order for order in wrong}.values())
    kept = [edit for edit in edits if edit.role not in {order.role for order in wrong} and rng.random() < 0.3]
    return (*wrong, *kept)


def another(rng: random.Random) -> tuple[Edit, ...]:
    """The right orders for another query's draft, those to add or remove a line left out."""
    task = draw_task(rng)
    edits = fixes(task, examine(task, flawed(task, Rates(), rng)), rng)
    return tuple(edit for edit in edits if edit.kind == "write")


def outside_case(rng: random.Random) -> Case:
    """A case from outside the world: answered by a polite sentence, mended by taking out what is not."""
    drafts = [outside.draw_answer(rng) for _ in range(2)]
    if rng.random() < 0.15:
        drafts[0] = text_of(flawed(draw_task(rng, details=(2, 5)), Rates(), rng)).split("\n")
    chosen, rejected = drafts[0], drafts[1] if drafts[1] != drafts[0] else None
    extras, true = _impolite(chosen), rng.random() > COUNTERFACTUAL
    edits = [Edit("remove", extra.role, extra.text) for extra in extras] if true or rng.random() < 0.3 else []
    if len(extras) == len(chosen):
        edits = [*edits, Edit("add", "answer", outside.ANSWERS[0])]
    found = "one, right" if len(extras) < len(chosen) else "nothing, missing"
    loss = "\n".join([f"Asked an answer, has {found}", *critique.extra_notes(extras)])
    return Case(
        outside.draw_query(rng),
        "\n".join(chosen),
        "\n".join(rejected) if rejected else None,
        loss,
        short_gradient(edits, rng),
        obey([Line("unknown", line) for line in chosen], edits),
        true,
        others=("\n".join(drafts[1]),),
        fused=outside.ANSWERS[0] if len(extras) == len(chosen) else "\n".join(chosen),
    )


def _impolite(lines: Sequence[str]) -> list[Line]:
    read_lines = [read_line(line) for line in lines if not outside.is_polite(line)]
    return [line if line.role in ("rude", "rambling") else Line("unknown", line.text) for line in read_lines]
