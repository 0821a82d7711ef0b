"""Pairwise verdicts: labels in Arena-Hard's format, and their values.

Five labels state how much better A is than B, from ``[[A>>B]]`` to ``[[B>>A]]``; the reversed forms
(``[[B<<A]]``) are accepted, too. A win is one battle, a clear win (``>>``) counts as three, a tie as half a
win.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tpo.reasoning import split_reasoning

CLEAR_WIN_BATTLES = 3
"""Number of battles of a clear win, as in the authors' scripts."""

FIRST_WINS = {"A>>B": 1.0, "A>B": 1.0, "A=B": 0.5, "B>A": 0.0, "B>>A": 0.0}
LABELS = FIRST_WINS | {"B<<A": 1.0, "B<A": 1.0, "B=A": 0.5, "A<B": 0.0, "A<<B": 0.0}
"""Share of a battle that the first answer wins, by label."""

_MARKS = (re.compile(r"\[\[([AB<>=]+)\]\]"), re.compile(r"\[([AB<>=]+)\]"))


def read_label(reply: str) -> str | None:
    """Return the last label in a judge's reply, in double or else in single brackets; None if there is none.

    Case does not matter. Reasoning does not count; the result is None if the reasoning never ended. The last
    brackets decide: if they contain no label (``[[A]]``), the result is None.
    """
    answer = split_reasoning(reply)
    text = answer.text.upper() if answer.ended else ""
    for mark in _MARKS:
        found = mark.findall(text)
        if found:
            return found[-1] if found[-1] in LABELS else None
    return None


@dataclass(frozen=True, slots=True)
class Games:
    """Labels of the two games of a query: the opponent is A in *first*, the answer is A in *second*."""

    first: str
    second: str

    @property
    def battles(self) -> tuple[float, ...]:
        """Result of each battle for the answer, 1, 0.5 or 0; a clear verdict is three battles."""
        first = (1 - result for result in _battles(self.first))
        return (*first, *_battles(self.second))

    @property
    def share(self) -> float:
        """Share of battles won by the answer; a tie is half a win."""
        return sum(self.battles) / len(self.battles)

    @property
    def verdict(self) -> str:
        """``win``, ``tie`` or ``loss`` over both games."""
        return "tie" if self.share == 0.5 else "win" if self.share > 0.5 else "loss"


def _battles(label: str) -> Sequence[float]:
    """Return the results of A's battles for *label*."""
    return [LABELS[label]] * (CLEAR_WIN_BATTLES if ">>" in label or "<<" in label else 1)
