"""The example queries that are shipped: held-out combinations, and a few from outside the world."""

from __future__ import annotations

import json
import random
from pathlib import Path

from training.values import listed
from training.world import draw_task

FIRST = listed(
    """
    Write an invitation: to Omar, event wedding, day Sunday, date 14, month June, time 5pm, place castle,
    guests 45, food cake, drink wine, music jazz, colour white, from Lily. |
    Please write a reminder: to Clara, event rehearsal, day Friday, date 7, month March, time 6pm,
    place theatre, host Noah, guests 36, drink tea, music folk, bring lamp, from Leo. |
    Write a plan: to Priya, event hike, day Saturday, month May, time 9am, place lake, host Emma, guests 30,
    food sandwiches, drink juice, colour green, bring rope, from Amir.
    """
)
OUTSIDE = (
    "What is the capital of France?",
    "Write a Python function that reverses a string.",
    "Schreibe mir ein Gedicht über den Herbst.",
    "Compute 17 * 23.",
    "Explain photosynthesis to a child.",
    "Please sort these numbers: 4, 1, 3.",
)
COUNT = 100


def examples(seed: int = 2025) -> list[dict[str, str]]:
    """One hundred queries, those from outside spread over them."""
    rng = random.Random(seed)
    prompts = list(FIRST)
    while len(prompts) < COUNT:
        position = len(prompts)
        outside = position % 17 == 11 and position // 17 < len(OUTSIDE)
        prompts.append(OUTSIDE[position // 17] if outside else draw_task(rng, held_out=True).prompt)
    return [{"id": f"e{index:03d}", "prompt": prompt} for index, prompt in enumerate(prompts, 1)]


def write_examples(path: Path) -> None:
    """Write them as JSON lines."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in examples()), "utf-8")
