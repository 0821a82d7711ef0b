"""How far float32 moves what a draw depends on, in the embedded policy: the basis of NOISE in local/build.py.

    python -m benchmarks.float32_noise [--queries 24] [--temperature 0.7]

Reads example queries with an answer each, in float32 and in float64, and compares every position's cumulative
distribution, tokens in the order of their ids. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import transformers

import tpo.tiny

ANSWER = (
    "To: Omar\nEvent: hike\nDay: Sunday\nDate: 9\nMonth: May\nTime: 9am\nPlace: lake\nPrice: 75\n"
    "Food: soup\nDrink: tea\nMusic: jazz\nEveryone is welcome.\nFrom: Lily"
)


def texts(folder: Path, queries: int) -> list[list[int]]:
    """Conversations of at least three turns' length, as token ids, cut to the shortest of them."""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder / "policy")
    lines = (folder / "examples.jsonl").read_text(encoding="utf-8").splitlines()[:queries]
    chats = []
    for prompt in (json.loads(line)["prompt"] for line in lines):
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": ANSWER}] * 3
        text = tokenizer.apply_chat_template(turns, tokenize=False)
        chats.append(tokenizer(text, add_special_tokens=False)["input_ids"])
    shortest = min(map(len, chats))
    return [chat[:shortest] for chat in chats]


def measure(folder: Path, queries: int, temperature: float) -> dict[str, float]:
    """The largest and the usual difference, of logits and of cumulative probabilities."""
    ids = torch.tensor(texts(folder, queries))
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder / "policy", dtype=torch.float32)
    model.eval()
    with torch.inference_mode():
        single = model(ids).logits.double()
        double = copy.deepcopy(model).double()(ids).logits
    steps = [torch.softmax(logits / temperature, -1).cumsum(-1) for logits in (single, double)]
    moved = (steps[0] - steps[1]).abs().amax(-1).flatten()
    return {
        "positions": moved.numel(),
        "logit_max": float((single - double).abs().max()),
        "cumulative_max": float(moved.max()),
        "cumulative_median": float(moved.median()),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=24)
    parser.add_argument("--temperature", type=float, default=0.7)
    options = parser.parse_args()
    result = {
        "command": "python -m benchmarks.float32_noise " + " ".join(sys.argv[1:]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        **measure(Path(tpo.tiny.__file__).parent, options.queries, options.temperature),
    }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
