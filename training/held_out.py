"""Held-out queries as data for ``tpo sweep``: ``python -m training.held_out --queries 120 > held-out.jsonl``.

And the hidden score of answers to them as a reward that guides nothing, for ``--check-reward
python:training.held_out:hidden_worth``: what the embedded reward was trained to guess. It evaluates; nothing
learns from it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from functools import cache

from tpo.errors import RewardError
from tpo.types import Message
from training.hidden import hidden_score
from training.world import Task, draw_task

SEED = 4711
"""Of the draw; another one than the shipped examples have."""
MOST = 2000
"""Queries that :func:`hidden_worth` knows."""


def held_out_tasks(count: int, seed: int = SEED) -> list[Task]:
    """*count* different queries of combinations that no training saw; a longer list begins alike."""
    rng = random.Random(seed)
    found: dict[str, Task] = {}
    while len(found) < count:
        task = draw_task(rng, held_out=True)
        found.setdefault(task.prompt, task)
    return list(found.values())


def hidden_worth(messages: Sequence[Message], response: str) -> float:
    """The hidden score of *response*: 0 is faultless, every flaw lowers it.

    Raises:
        RewardError: the query is not among those that this module writes.
    """
    prompt = str(messages[-1]["content"])
    task = _by_prompt().get(prompt)
    if task is None:
        raise RewardError(
            f"{prompt[:80]!r} is none of the held-out queries; write these with python -m training.held_out"
        )
    return hidden_score(task, response)


@cache
def _by_prompt() -> Mapping[str, Task]:
    return {task.prompt: task for task in held_out_tasks(MOST)}


def main() -> None:
    """Print the queries as JSON lines."""
    parser = argparse.ArgumentParser(description="Write held-out queries as JSON lines.")
    parser.add_argument("--queries", type=int, default=120, help=f"how many, at most {MOST}")
    arguments = parser.parse_args()
    if not 1 <= arguments.queries <= MOST:
        parser.error(f"--queries is {arguments.queries}; it must be from 1 to {MOST}")
    for number, task in enumerate(held_out_tasks(arguments.queries), 1):
        print(json.dumps({"id": f"h{number:04d}", "prompt": task.prompt}, ensure_ascii=False))


if __name__ == "__main__":
    main()
