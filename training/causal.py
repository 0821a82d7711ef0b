"""Measures of how far an update follows its gradient: drafts rewritten by different gradients."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from tpo.methods.tpo import Tpo
from training import critique
from training.critique import Edit, Findings, examine, extra_notes, fixes, gradient_text, loss_text, obey
from training.grammar import KIND, KINDLY, read_line
from training.hidden import hidden_score
from training.rounds import Course, EmbeddedPair, updates
from training.world import Task, read

NOTHING = extra_notes(())[0]


@dataclass(frozen=True)
class Causal:
    """The hidden score of every query after each kind of gradient, and what shares are the means of."""

    hidden: dict[str, list[float]]
    shares: dict[str, list[float]]


def read_orders(gradient: str) -> list[Edit]:
    """The edits that a textual gradient orders, as far as it speaks the usual words."""
    edits = []
    for line in map(read_line, gradient.split("\n")):
        if line.value and line.value != critique.STAYS:
            edits.append(Edit("write", line.role, line.text))
        edits += [
            Edit(kind, read_line(found[1]).role, found[1])
            for kind, forms in critique.FORMS.items()
            for form in forms
            if (found := re.fullmatch(re.escape(form).replace(r"\{text\}", "(.+)"), line.text))
        ]
    return edits


def named_flaws(loss: str) -> set[str]:
    """The lines of a textual loss that find fault."""
    return {line for line in loss.split("\n") if line != NOTHING and not line.endswith(f", {critique.RIGHT}")}


def measure(
    pair: EmbeddedPair, method: Tpo, tasks: Sequence[Task], courses: Sequence[Course], seed: int
) -> Causal:
    """Rewrite every chosen draft by its own gradient and by others; the courses were criticised before."""
    rng = random.Random(seed)
    drafts = [course.pair.chosen.text if course.pair else "" for course in courses]
    findings = [examine(task, read(draft)) for task, draft in zip(tasks, drafts, strict=True)]
    own = [course.gradient.text for course in courses]
    about = list(zip(tasks, findings, strict=True))
    perfect = [fixes(task, f, rng) for task, f in about]
    wrong = [critique.wrong_order(task, f, rng) or Edit("add", KIND, KINDLY[0]) for task, f in about]
    variants: dict[str, list[str]] = {
        "own gradient": own,
        "empty gradient": [""] * len(own),
        "keep": [critique.KEEP[0]] * len(own),
        "another query's gradient": own[1:] + own[:1],
        "perfect gradient": [gradient_text(e, f) for e, f in zip(perfect, findings, strict=True)],
        "wrong order": [gradient_text([o], f) for o, f in zip(wrong, findings, strict=True)],
    }
    made = {name: updates(pair, method, courses, texts, 1) for name, texts in variants.items()}
    hidden = {"before": [hidden_score(t, d) for t, d in zip(tasks, drafts, strict=True)]}
    for name, texts in made.items():
        hidden[name] = [hidden_score(t, text or "") for t, text in zip(tasks, texts, strict=True)]
    return Causal(hidden, _shares(courses, drafts, findings, perfect, wrong, made))


def _shares(
    courses: Sequence[Course],
    drafts: Sequence[str],
    findings: Sequence[Findings],
    perfect: Sequence[Sequence[Edit]],
    wrong: Sequence[Edit],
    made: dict[str, list[str | None]],
) -> dict[str, list[float]]:
    losses = [course.loss.text for course in courses]
    true = [named_flaws(loss_text(each)) for each in findings]
    named = [named_flaws(loss) for loss in losses]
    both = [len(a & b) for a, b in zip(true, named, strict=True)]
    orders = [read_orders(course.gradient.text) for course in courses]
    obeyed = zip(wrong, made["wrong order"], strict=True)
    return {
        "updates that parse": [float(text is not None) for texts in made.values() for text in texts],
        "a detail ordered changed is changed": [float(o.text in (t or "").split("\n")) for o, t in obeyed],
        "... and nothing else is": _exact(drafts, [[order] for order in wrong], made["wrong order"]),
        "perfect orders obeyed to the letter": _exact(drafts, perfect, made["perfect gradient"]),
        "own orders obeyed to the letter": _exact(drafts, orders, made["own gradient"]),
        "exact copy on keep": _exact(drafts, [[]] * len(drafts), made["keep"]),
        "exact copy on an empty gradient": _exact(drafts, [[]] * len(drafts), made["empty gradient"]),
        "flaws that the loss names": _ratio(both, [len(each) for each in true]),
        "flaws named that there are": _ratio(both, [len(each) for each in named]),
        "loss is exact": [float(loss_text(f) == loss) for f, loss in zip(findings, losses, strict=True)],
        "own gradient orders all that is due": [
            float(_aims(a) == _aims(b)) for a, b in zip(perfect, orders, strict=True)
        ],
        "chosen drafts without flaw": [float(not each.flaws) for each in findings],
    }


def _aims(edits: Sequence[Edit]) -> set[tuple[str, str]]:
    """What *edits* change; one kind line is as good as another."""
    return {(edit.role, "" if edit.role == KIND else edit.text) for edit in edits}


def _exact(drafts: Sequence[str], due: Sequence[Sequence[Edit]], made: Sequence[str | None]) -> list[float]:
    return [float(obey(read(d), edits) == text) for d, edits, text in zip(drafts, due, made, strict=True)]


def _ratio(parts: Sequence[int], wholes: Sequence[int]) -> list[float]:
    """A value for each query: their mean is the ratio of the sums, and their spread that of the ratio."""
    size = max(mean(wholes), 1e-9)
    share = mean(parts) / size
    return [share + (part - share * whole) / size for part, whole in zip(parts, wholes, strict=True)]
