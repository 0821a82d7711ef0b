"""Run by test_length_control.py in a process of its own, with a hub cache of made-up content: prints JSON.

The package's own ``evaluate`` goes over a made-up set of the published size with a judge that follows a rule;
our length control gets the preferences that it found.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import alpaca_eval
from alpaca_eval import annotators, metrics

from tests.experiments.bench.pairwise import alpaca_set
from tpo.data.row import Row
from tpo.experiments.bench.graders.base import Answer, Grade, GradedAnswer
from tpo.experiments.bench.pairwise import alpaca_eval as ours
from tpo.experiments.bench.pairwise.length_control import (
    PublishedSet,
    annotated,
    instructions_digest,
    length_controlled_metric,
)


def completions(prompts: list[str], **_: Any) -> dict[str, list[Any]]:
    """The scripted judge in the shape of the package's own client."""
    replies = [
        [{"token": token, "logprob": value} for token, value in alpaca_set.weighed(prompt).items()]
        for prompt in prompts
    ]
    every = [{"logprobs": {"content": [{"top_logprobs": reply}]}} for reply in replies]
    return {"completions": ["m"] * len(prompts), "completions_all": every}


class Scripted(annotators.SinglePairwiseAnnotator):  # type: ignore[misc]  # publishes no types
    """The package's annotator of one pair, its client replaced."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"fn_completions": completions})


class ScriptedPairwise(annotators.PairwiseAnnotator):  # type: ignore[misc]  # publishes no types
    """The package's annotator of a set, with that of a pair."""

    SingleAnnotator = Scripted


def evaluate(rows: list[dict[str, str]], outputs: list[str]) -> tuple[Any, Any]:
    """The package's leaderboard and annotations."""
    model = [
        {"instruction": row["instruction"], "output": output, "generator": "model"}
        for row, output in zip(rows, outputs, strict=True)
    ]
    found: tuple[Any, Any] = alpaca_eval.evaluate(
        model_outputs=model,
        reference_outputs=rows,
        output_path=None,
        precomputed_leaderboard=None,
        is_return_instead_of_print=True,
        is_cache_leaderboard=False,
        metric_kwargs={"save_weights_dir": None},
        caching_path=None,
        Annotator=ScriptedPairwise,
    )
    return found


def graded(
    rows: list[dict[str, str]], annotations: list[dict[str, Any]], seed: int = 7
) -> list[GradedAnswer]:
    """The package's preferences as our grades, by instruction."""
    by_instruction = {row["instruction"]: row for row in annotations}
    found = []
    for position, row in enumerate(rows):
        mine = by_instruction[row["instruction"]]
        answer = Answer(
            ours.ALPACA_EVAL_2.read(Row("x", row), position), mine["output_2"], seed, baseline=row["output"]
        )
        found.append(GradedAnswer(answer, Grade(mine["preference"] - 1, "x", {})))
    return found


def main(cache: str) -> None:
    """Print what both found, and what ours says where it refuses."""
    table = alpaca_set.make_cache(Path(cache))
    rows, outputs = alpaca_set.made_up_rows(), alpaca_set.made_up_outputs()
    leaderboard, annotations = evaluate(rows, outputs)
    annotations = annotations if isinstance(annotations, list) else annotations.to_dict(orient="records")
    theirs = leaderboard.loc["model"]
    instructions = [row["instruction"] for row in rows]
    published = PublishedSet(
        len(rows), instructions_digest(instructions), instructions_digest(sorted(instructions))
    )
    mine = graded(rows, annotations)

    def said(found: list[GradedAnswer], *, is_whole: bool = True) -> dict[str, Any]:
        made = length_controlled_metric(found, is_whole=is_whole, published=published)
        return {"value": made.value, "low": made.low, "high": made.high, "note": made.note}

    shuffled = random.Random(4).sample(rows, len(rows))
    moved = graded(shuffled, annotations)
    unjudged = [*mine[:-1], GradedAnswer(mine[-1].answer, Grade(None, "ungraded", {}))]
    package = metrics.get_length_controlled_winrate
    result = {
        "theirs": {name: float(theirs[name]) for name in ("length_controlled_winrate", "lc_standard_error")},
        "plain": float(theirs["win_rate"]),
        "preferences": {row["instruction"]: row["preference"] for row in annotations},
        "ours": said(mine),
        "two_seeds": said([*mine, *graded(rows, annotations, seed=8)]),
        "in_any_order_of_arrival": said(random.Random(5).sample(mine, len(mine))),
        "one_ungraded": said(unjudged),
        "subset": said(mine[:-1]),
        "not_whole": said(mine, is_whole=False),
        "shuffled": said(moved),
        "package_on_shuffled": package(annotated(moved), save_weights_dir=None)["length_controlled_winrate"],
    }
    table.unlink()
    result["without_table"] = said(mine)
    print(json.dumps(result))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main(sys.argv[1])
