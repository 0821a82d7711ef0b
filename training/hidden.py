"""The hidden score: what a message is worth in truth.

Only the reward's labels and the evaluation may import this.
"""

from __future__ import annotations

from training.critique import Findings, examine
from training.grammar import RUDE
from training.outside import is_polite
from training.world import Task, read

WRONG = {"name": 1.2, "topic": 1.0, "day": 0.9, "time": 0.8, "place": 0.8, "sender": 0.8}
MISSING = {"name": 0.7, "topic": 1.2, "day": 0.9, "time": 0.7, "place": 0.7, "sender": 0.6}
EXTRA = {"rude": 1.3, "repeated": 0.5, "rambling": 0.5, "unknown": 0.8}
COLD = 0.5
FLOOR = -8.0


def hidden_score(task: Task, text: str) -> float:
    """The worth of *text* as an answer to *task*: 0 is faultless, every flaw lowers it."""
    return hidden_of(examine(task, read(task, text)))


def hidden_of(findings: Findings) -> float:
    """The same from a draft already examined."""
    cost = sum(_slot_cost(item.slot, item.verdict) for item in findings.items)
    cost += sum(EXTRA[extra.kind] for extra in findings.extras)
    return max(FLOOR, -(cost + (0.0 if findings.warm else COLD)))


def _slot_cost(slot: str, verdict: str) -> float:
    return {"right": 0.0, "wrong": WRONG[slot], "missing": MISSING[slot]}[verdict]


def hidden_outside(text: str) -> float:
    """The worth of an answer to a query from outside the world: one polite sentence or two, nothing else."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    polite = [line for line in lines if is_polite(line)]
    cost = sum(EXTRA["rude"] if line in RUDE else EXTRA["unknown"] for line in lines if not is_polite(line))
    cost += EXTRA["repeated"] * (len(polite) - len(set(polite)))
    return max(FLOOR, -(cost + (0.0 if polite else 1.5)))
