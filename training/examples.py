"""The example queries that are shipped: held-out combinations, and a few from outside the world."""

from __future__ import annotations

import json
import random
from pathlib import Path

from training.world import draw_task

FIRST = (
    "Invite Clara to a picnic on Sunday at 3 pm by the lake. It is from Leo.",
    "Write a thank you note to Priya for the flowers, for Saturday at 6 pm, at the bakery. Sign it as Noah.",
    "Please apologise to Noah for forgetting your birthday on Tuesday at noon by the river. My name is Ben.",
    "Congratulate Emma on your first book on Saturday at 7:30 pm, on the roof terrace. Sign it as Amir.",
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
