"""The hidden score: what a notice is worth in truth.

Only the reward's labels and the evaluation may import this.
"""

from __future__ import annotations

from training.critique import MISSING, RIGHT, examine
from training.grammar import RUDE
from training.outside import is_polite
from training.world import Task, read

COST = {RIGHT: 0.0, "wrong": 1.0, MISSING: 0.8}
EXTRA = {"rude": 1.2, "repeated": 0.5, "rambling": 0.5, "unknown": 0.8}
FLOOR = -16.0


def hidden_score(task: Task, text: str) -> float:
    """The worth of *text* as an answer to *task*: 0 is faultless, every flaw lowers it."""
    findings = examine(task, read(text))
    cost = sum(COST[item.verdict] for item in findings.items)
    return max(FLOOR, -(cost + sum(EXTRA[extra.role] for extra in findings.extras)))


def hidden_outside(text: str) -> float:
    """The worth of an answer to a query from outside the world: one polite sentence or two, nothing else."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    polite = [line for line in lines if is_polite(line)]
    cost = sum(EXTRA["rude"] if line in RUDE else EXTRA["unknown"] for line in lines if not is_polite(line))
    cost += EXTRA["repeated"] * (len(polite) - len(set(polite)))
    return max(FLOOR, -(cost + (0.0 if polite else 1.5)))
