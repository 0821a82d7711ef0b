"""A pairwise verdict: its label as Arena-Hard's judges write it, and what it is worth.

Five labels tell how far A is better than B, ``[[A>>B]]`` to ``[[B>>A]]``; the same turned round
(``[[B<<A]]``) are read too. A plain win is one battle, a clear one (``>>``) counts as three, a tie as half a
battle won.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tpo.reasoning import split_reasoning

CLEAR = 3
"""Battles that a clear win counts as, in the authors' scripts."""

FIRST_WINS = {"A>>B": 1.0, "A>B": 1.0, "A=B": 0.5, "B>A": 0.0, "B>>A": 0.0}
LABELS = FIRST_WINS | {"B<<A": 1.0, "B<A": 1.0, "B=A": 0.5, "A<B": 0.0, "A<<B": 0.0}
"""What the first answer gets by each label."""

_MARKS = (re.compile(r"\[\[([AB<>=]+)\]\]"), re.compile(r"\[([AB<>=]+)\]"))


def read_label(reply: str) -> str | None:
    """The last label in a judge's reply, in double brackets, else in single ones; None if there is none.

    Small letters count. A model's reasoning does not, and where it never ended there is no verdict. What is
    in brackets but no label (``[[A]]``) makes the reply unreadable, as a judge that goes on after its verdict
    means the last.
    """
    answer = split_reasoning(reply)
    said = answer.text.upper() if answer.ended else ""
    for mark in _MARKS:
        found = mark.findall(said)
        if found:
            return found[-1] if found[-1] in LABELS else None
    return None


@dataclass(frozen=True, slots=True)
class Games:
    """Two games over one query: *first* with the opponent as A, *second* with the answer as A."""

    first: str
    second: str

    @property
    def battles(self) -> tuple[float, ...]:
        """What the answer got, battle by battle: 1, 0.5 or 0, a clear verdict being three battles."""
        lost = (1 - worth for worth in _battles(self.first))
        return (*lost, *_battles(self.second))

    @property
    def share(self) -> float:
        """The share of its battles that the answer won, ties half."""
        return sum(self.battles) / len(self.battles)

    @property
    def verdict(self) -> str:
        """``win``, ``tie`` or ``loss`` over both games."""
        return "tie" if self.share == 0.5 else "win" if self.share > 0.5 else "loss"


def _battles(label: str) -> Sequence[float]:
    """What A got by *label*."""
    return [LABELS[label]] * (CLEAR if ">>" in label or "<<" in label else 1)
