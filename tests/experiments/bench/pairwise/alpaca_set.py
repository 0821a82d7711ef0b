"""A made-up set of AlpacaEval's size and a judge that follows a rule: ours is compared with the package's.

The judge likes long answers, and one side a little; an answer stands between ``<<`` and ``>>``, so that it
can be found in whatever prompt the package makes.
"""

from __future__ import annotations

import csv
import hashlib
import math
import random
import re
from pathlib import Path

ROWS = 805
TABLE = "df_gamed.csv"
_REVISION = "0" * 40


def made_up_rows(count: int = ROWS) -> list[dict[str, str]]:
    """Rows as published: an instruction, the baseline's output, who wrote it."""
    draw = random.Random(1)
    return [
        {
            "instruction": f"Made-up instruction {i}: count to {i}.",
            "output": f"<<{'b' * draw.randint(40, 900)}>>",
            "generator": "gpt4_1106_preview",
            "dataset": "made_up",
        }
        for i in range(count)
    ]


def made_up_outputs(count: int = ROWS) -> list[str]:
    """A model's answers, longer than the baseline's for the most part."""
    draw = random.Random(2)
    return [f"<<{'m' * draw.randint(100, 1400)}>>" for _ in range(count)]


def weighed(request: str) -> dict[str, float]:
    """Log-probabilities of ``m``, who is shown first, and ``M``."""
    first, second = re.findall(r"<<(\w+)>>", request)
    noise = int(hashlib.sha256(request.encode()).hexdigest()[:4], 16) / 65535 - 0.5
    likes = (len(first) - len(second)) / 400 + noise + 0.1
    chance = 1 / (1 + math.exp(-likes))
    return {"m": math.log(chance * 0.99), "M": math.log((1 - chance) * 0.99), "I": math.log(0.01)}


def make_cache(home: Path, rows: int = ROWS) -> Path:
    """A hub cache at *home* that holds a made-up table of difficulties; returns the table's path."""
    repository = home / "hub" / "datasets--tatsu-lab--alpaca_eval"
    snapshot = repository / "snapshots" / _REVISION
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(_REVISION)
    draw = random.Random(3)
    difficulty = [draw.gauss(0, 1) for _ in range(rows)]
    columns = [
        "preference",
        "index",
        "std_delta_len",
        "instruction_difficulty",
        "not_gamed_baseline",
        "model",
    ]
    with (snapshot / TABLE).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for model, shift in (("brief", -1.5), ("wordy", 1.5)):
            for i in range(rows):
                win = 1 / (1 + math.exp(-(shift + difficulty[i] + draw.gauss(0, 1))))
                table.writerow([win, i, draw.gauss(shift, 0.5), difficulty[i], False, model])
    return snapshot / TABLE
