"""Does the update listen? The same drafts, rewritten by gradients that differ in one thing."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from tpo.methods.tpo import Tpo
from training.critique import (
    ADD,
    EXTRA_NAMES,
    KEEP,
    REMOVE,
    ROLE_NAMES,
    WRITE,
    Edit,
    Findings,
    examine,
    fixes,
    gradient_text,
    loss_text,
    obey,
    wrong_order,
)
from training.grammar import FAMILIES
from training.hidden import hidden_score
from training.rounds import Course, EmbeddedPair, updates
from training.world import Task, read

KIND_OF = {"write": WRITE, "add": ADD, "remove": REMOVE}


@dataclass(frozen=True)
class Causal:
    """Rows of a table: a name, and a figure."""

    hidden: dict[str, float]
    shares: dict[str, float]


def read_orders(gradient: str) -> list[Edit]:
    """The edits that a textual gradient orders, as far as it speaks the usual words."""
    edits = []
    names = {
        **{name: role for role, name in ROLE_NAMES.items()},
        **{name: kind for kind, name in EXTRA_NAMES.items()},
    }
    for line in gradient.split("\n"):
        for kind, forms in KIND_OF.items():
            for form in forms:
                pattern = (
                    re.escape(form)
                    .replace(r"\{role\}", "(?P<role>.+?)")
                    .replace(r"\{kind\}", "(?P<role>.+?)")
                )
                if found := re.fullmatch(pattern.replace(r"\{text\}", "(?P<text>.+)"), line):
                    role = names.get(found.groupdict().get("role", ""), "unknown")
                    edits.append(Edit(kind, role, found["text"]))  # type: ignore[arg-type]
    return edits


def measure(
    pair: EmbeddedPair, method: Tpo, tasks: Sequence[Task], courses: Sequence[Course], seed: int
) -> Causal:
    """Rewrite every chosen draft by its own gradient and by others; the courses were criticised before."""
    rng = random.Random(seed)
    drafts = [course.pair.chosen.text if course.pair else "" for course in courses]
    findings = [examine(task, read(task, draft)) for task, draft in zip(tasks, drafts, strict=True)]
    own = [course.gradient.text for course in courses]
    perfect = [fixes(task, f, rng) for task, f in zip(tasks, findings, strict=True)]
    wrong = [_wrong(task, f, rng) for task, f in zip(tasks, findings, strict=True)]
    variants: dict[str, list[str]] = {
        "own gradient": own,
        "empty gradient": [""] * len(own),
        "keep": [KEEP[0]] * len(own),
        "another query's gradient": own[1:] + own[:1],
        "perfect gradient": [gradient_text(edits) for edits in perfect],
        "wrong order": [gradient_text([order]) for order in wrong],
    }
    made = {name: updates(pair, method, courses, texts, 1) for name, texts in variants.items()}
    hidden = {"before": mean(hidden_score(t, d) for t, d in zip(tasks, drafts, strict=True))}
    for name, texts in made.items():
        hidden[name] = mean(hidden_score(t, text or "") for t, text in zip(tasks, texts, strict=True))
    return Causal(hidden, _shares(tasks, courses, drafts, perfect, wrong, made))


def _wrong(task: Task, findings: Findings, rng: random.Random) -> Edit:
    order = wrong_order(task, findings, rng)
    return order or Edit("add", "warmth", FAMILIES[task.family].warmth[0])


def _shares(
    tasks: Sequence[Task],
    courses: Sequence[Course],
    drafts: Sequence[str],
    perfect: Sequence[Sequence[Edit]],
    wrong: Sequence[Edit],
    made: dict[str, list[str | None]],
) -> dict[str, float]:
    every = [text for texts in made.values() for text in texts]
    losses = [
        loss_text(
            t,
            examine(t, read(t, d)),
            examine(t, read(t, c.pair.rejected.text)) if c.pair and c.pair.rejected else None,
        )
        for t, d, c in zip(tasks, drafts, courses, strict=True)
    ]
    orders = [read_orders(course.gradient.text) for course in courses]
    return {
        "updates that parse": mean(text is not None for text in every),
        "a detail ordered changed is changed": _obeyed(wrong, made["wrong order"]),
        "... and nothing else is": _exact(tasks, drafts, [[o] for o in wrong], made["wrong order"]),
        "perfect orders obeyed to the letter": _exact(tasks, drafts, perfect, made["perfect gradient"]),
        "own orders obeyed to the letter": _exact(tasks, drafts, orders, made["own gradient"]),
        "exact copy on keep": mean(a == b for a, b in zip(drafts, made["keep"], strict=True)),
        "exact copy on an empty gradient": mean(
            a == b for a, b in zip(drafts, made["empty gradient"], strict=True)
        ),
        "loss is exact": mean(a == c.loss.text for a, c in zip(losses, courses, strict=True)),
        "own gradient mends every flaw": mean(
            hidden_score(t, obey(read(t, d), o)) == 0 for t, d, o in zip(tasks, drafts, orders, strict=True)
        ),
        "chosen drafts without flaw": mean(
            hidden_score(t, d) == 0 for t, d in zip(tasks, drafts, strict=True)
        ),
    }


def _obeyed(orders: Sequence[Edit], texts: Sequence[str | None]) -> float:
    return mean(order.text in (text or "").split("\n") for order, text in zip(orders, texts, strict=True))


def _exact(
    tasks: Sequence[Task],
    drafts: Sequence[str],
    orders: Sequence[Sequence[Edit]],
    texts: Sequence[str | None],
) -> float:
    return mean(
        obey(read(task, draft), edits) == text
        for task, draft, edits, text in zip(tasks, drafts, orders, texts, strict=True)
    )
