"""The methods ``rubric`` and ``tpo`` at equal tokens, with a scripted policy in place of a model.

    python -m benchmarks.rubric_method [--queries 200] [--noticed 0.5]

A response meets some of eight criteria, and the policy adds what its instructions name, most of the time. A
critic that compares two responses (``tpo``) notices each missing criterion with probability *noticed*; the
prompt of ``rubric`` names them. So the numbers show what a critic must notice for the textual loss to be
worth its tokens, and nothing of any model. ``rubric`` stops where all criteria are met: with more tokens it
keeps that reward.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from benchmarks.record import write_result

from tpo.methods.catalog import tpo
from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.methods.rubric import rubric
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.types import Messages, Query, Scope, Score, plain_text, user

CRITERIA = [f"criterion{number}" for number in range(8)]
FILLER = " ".join(["word"] * 150)
"""Length of a response, so that prompts cost what prompts cost."""
FOLLOWED, KEPT, FIRST = 0.6, 0.95, 0.4
"""Chance that an instruction is followed, that what was met stays met, and that a first sample meets one."""
ITERATIONS = (1, 2, 3, 4, 5, 6)


class CriteriaReward:
    """Scores by the share of criteria that a response names; each is its own criterion."""

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the share, with every criterion."""
        del messages, scope
        found = {each: 0.95 if each in response.split() else 0.05 for each in CRITERIA}
        return Score(statistics.fmean(found.values()), criteria=found)


def reply(call: PolicyCall, index: int, *, noticed: float) -> str:
    """Write a response, or a critique that names criteria."""
    scope = call.scope
    luck = random.Random(f"{scope.query} {scope.phase} {scope.step} {index} {call.sampling.seed}")  # noqa: S311
    texts = [plain_text(message) for message in call.messages]
    if scope.phase == "sample":
        return _response([each for each in CRITERIA if luck.random() < FIRST])
    chosen = texts[1].split()
    if scope.phase == "loss":
        missing = [each for each in CRITERIA if each not in chosen]
        return f"It lacks {' '.join(each for each in missing if luck.random() < noticed)} {FILLER[:200]}"
    if scope.phase == "gradient":
        source = texts[-1] if len(texts) == 3 else texts[-2]
        named = [each for each in CRITERIA if each in source.split() and each not in chosen]
        return f"Add {' '.join(named)} {FILLER[:200]}"
    named = [each for each in CRITERIA if each in texts[-2].split()]
    met = [
        each
        for each in CRITERIA
        if (each in chosen and luck.random() < KEPT) or (each in named and luck.random() < FOLLOWED)
    ]
    return improved(_response(met))


def _response(met: list[str]) -> str:
    return f"{FILLER} {' '.join(met)}"


async def arm(
    build: Callable[..., Method], iterations: int, queries: int, noticed: float
) -> dict[str, float]:
    """Return mean tokens and mean reward of the answers."""
    method = build(sample_size=5, max_iterations=iterations)
    optimizer = Optimizer(ScriptedPolicy(partial(reply, noticed=noticed)), CriteriaReward(), method)
    tokens, rewards = [], []
    for number in range(queries):
        trajectory = await optimizer.optimize(Query(f"q{number}", (user("Write it."),)))
        used = trajectory.usage.values()
        tokens.append(sum(each.tokens for each in used))
        best = trajectory.best
        rewards.append(best.reward if best is not None else 0.0)
    return {"tokens": round(statistics.fmean(tokens)), "reward": round(statistics.fmean(rewards), 4)}


def at_tokens(curve: list[dict[str, float]], tokens: float) -> float | None:
    """Return the reward of *curve* at *tokens*, between two of its points; None before the first."""
    if tokens >= curve[-1]["tokens"]:
        return curve[-1]["reward"]
    for low, high in pairwise(curve):
        if low["tokens"] <= tokens <= high["tokens"]:
            share = (tokens - low["tokens"]) / max(1.0, high["tokens"] - low["tokens"])
            return round(low["reward"] + share * (high["reward"] - low["reward"]), 4)
    return None


async def compare(queries: int, noticed: float) -> dict[str, object]:
    """Return both curves, and the rewards at the tokens that ``tpo`` takes for each D."""
    curves = {
        name: [await arm(build, d, queries, noticed) for d in ITERATIONS]
        for name, build in (("tpo", tpo), ("rubric", rubric))
    }
    equal = [
        {
            "tokens": point["tokens"],
            "tpo": point["reward"],
            "rubric": at_tokens(curves["rubric"], point["tokens"]),
        }
        for point in curves["tpo"]
    ]
    return {"curves": curves, "at_equal_tokens": equal}


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    found = {f"noticed {share}": asyncio.run(compare(options.queries, share)) for share in (0.25, 0.5, 1.0)}
    write_result("rubric_method", {"setup": vars(options)} | found)


if __name__ == "__main__":
    main()
