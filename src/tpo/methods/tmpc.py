"""``--method tmpc``: textual model predictive control (Wang et al. 2025, arXiv 2502.20795).

Responses are sampled and cut into segments; the reward scores each segment; the best ones of all rounds
are kept in a small buffer (the paper's subgoals, found in hindsight), and the next responses are written
conditioned on it. The paper runs 3 rounds: ``-d 3``.

Checked against the authors' program. There, too, each new segment is scored once, as if it were a response to
the query, and the kept ones are shown best first. It cuts sentences, keeps all above a threshold that are
not similar to a better one, varies the system text, and writes a final response in each round. Here a segment
is a paragraph, or a sentence where a response has one paragraph; the buffer holds the *buffer_size* best with
different texts, since rewards have no common scale; the best response stands as the model's own turn and the
best of the pool is the answer.

Cost: 1 + D calls, N·(D + 1) completions, and a score for each new segment, which :meth:`cost` does not count.
Note: it depends on the reward's judgement of parts, for which most reward models were not trained.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.methods.attempt import Attempt
from tpo.methods.contrast import contrast
from tpo.methods.method import Method, StepCall
from tpo.methods.wording import load_wording, numbered
from tpo.types import EDITOR, Candidate, Messages, Query, assistant, user

_SENTENCE_END = r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])\s*|\n+"
"""Western and East Asian full stops; the latter have no space after them."""


@dataclass(frozen=True, kw_only=True)
class Tmpc(Method):
    """Textual model predictive control; *buffer_size* segments are kept."""

    name: str = "tmpc"
    max_iterations: int = 3
    buffer_size: int = 3

    async def optimize(self, attempt: Attempt) -> None:
        """Sample; D times score the segments of the newest responses and write anew from the best ones."""
        query, scores = attempt.query, dict[str, float | None]()
        newest = await attempt.sample(self.first_prompt(query), n=self.sample_size)
        for _ in range(self.max_iterations):
            async with attempt.step() as step:
                cut = dict.fromkeys(part for each in newest for part in segments(each.text))
                new = [part for part in cut if part not in scores]
                scores |= zip(new, await step.score(new), strict=True)
                newest = await step.sample(
                    "update",
                    self.update_prompt(query, contrast(step.pool).chosen, self.kept(scores)),
                    n=self.sample_size,
                    parents=[contrast(step.pool).chosen],
                    role=EDITOR,
                )

    def kept(self, scores: dict[str, float | None]) -> list[str]:
        """Return the segments of the buffer, the best first; of equal ones the earlier."""
        known = {part: score for part, score in scores.items() if score is not None}
        return sorted(known, key=lambda part: -known[part])[: self.buffer_size]

    def update_prompt(self, query: Query, best: Candidate, kept: Sequence[str]) -> Messages:
        """Ask for a new response that builds on the segments *kept*."""
        values = {"query": query.text, "chosen": best.text, "segments": numbered("part", kept)}
        return (*query.messages, assistant(best.text), user(self.wording.fill("regenerate", **values)))

    def step_calls(self, n: int) -> Sequence[StepCall]:
        """Return the one call that writes anew."""
        return (StepCall("update", n, scored=True),)


def segments(text: str) -> list[str]:
    """Return the paragraphs of *text*; its sentences if it is one paragraph."""
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    if len(paragraphs) > 1:
        return paragraphs
    return [part.strip() for part in re.split(_SENTENCE_END, text) if part.strip()]


def tmpc(prompts: Path | None = None, **shape: Any) -> Tmpc:
    """Return textual model predictive control."""
    return Tmpc(wording=load_wording("tmpc", prompts), **shape)
