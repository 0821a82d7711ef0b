"""The loop in its plainest form, many queries at once: what the evaluation measures the pair with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM, LlamaForSequenceClassification

from tpo.methods.contrast import contrast
from tpo.methods.method import Method
from tpo.methods.tpo import Tpo
from tpo.types import Call, Candidate, Completion, Message, Pair, Query, Score, assistant, user
from training.batches import pad
from training.export import policy_of
from training.protocol import Dialogue
from training.sampler import Sampler
from training.tokenizer import Encoder, load_tokenizer

LIMIT = 208
"""Most tokens of a reply."""


class EmbeddedPair:
    """Policy and reward as they are shipped."""

    def __init__(self, folder: Path) -> None:
        self.encoder = Encoder(load_tokenizer(folder / "policy"))
        policy = policy_of(LlamaForCausalLM.from_pretrained(folder / "policy", dtype=torch.float32))
        self.reward: Any = LlamaForSequenceClassification.from_pretrained(
            folder / "reward", dtype=torch.float32
        ).eval()
        self.sampler = Sampler(policy, self.encoder)

    def write(
        self, courses: Sequence[Course], calls: Sequence[Sequence[Message]], samples: int = 1
    ) -> list[str]:
        """*samples* replies to each of *calls*, one for each of *courses*; their tokens are counted there."""
        prompts = [self.encoder.prompt(messages) for messages in calls]
        replies = self.sampler.draw([prompt for prompt in prompts for _ in range(samples)], LIMIT)
        for index, (course, prompt) in enumerate(zip(courses, prompts, strict=True)):
            course.prompt_tokens += len(prompt)
            for reply in replies[index * samples : (index + 1) * samples]:
                course.completion_tokens += self.length(reply)
        return replies

    def length(self, reply: str) -> int:
        """Tokens of a completion, its last one included."""
        return len(self.encoder.plain(reply)) + 1

    @torch.inference_mode()
    def score(self, queries: Sequence[Query], texts: Sequence[str], rows: int = 256) -> list[float]:
        """The reward of each response to its query."""
        tokens = [
            self.encoder.dialogue(Dialogue((*query.messages, assistant(text)), {}))[0]
            for query, text in zip(queries, texts, strict=True)
        ]
        order, values = sorted(range(len(tokens)), key=lambda i: len(tokens[i])), [0.0] * len(tokens)
        for start in range(0, len(order), rows):
            chunk = order[start : start + rows]
            batch, lengths = pad([tokens[i] for i in chunk], self.encoder.pad)
            mask = (torch.arange(batch.shape[1]) < lengths[:, None]).long()
            scores = self.reward(batch, attention_mask=mask).logits[:, 0].tolist()
            for index, value in zip(chunk, scores, strict=True):
                values[index] = value
        return values


NO_CALL = Call("", ())


@dataclass
class Course:
    """A query's pool as it grows, and what was said in its last step."""

    query: Query
    pool: list[Candidate] = field(default_factory=list)
    pair: Pair | None = None
    loss: Call = NO_CALL
    gradient: Call = NO_CALL
    malformed: int = 0
    prompt_tokens: int = 0
    """Tokens of all prompts so far; one that is answered several times counts once, as servers report it."""
    completion_tokens: int = 0

    def at(self, step: int) -> list[Candidate]:
        """The candidates of *step*."""
        return [candidate for candidate in self.pool if candidate.step == step]

    def best(self, step: int) -> Candidate:
        """The best of the pool after *step*."""
        return max((c for c in self.pool if c.step <= step), key=lambda c: c.reward)


def start(pair: EmbeddedPair, method: Method, prompts: Sequence[str], samples: int) -> list[Course]:
    """First samples of every query."""
    courses = [Course(Query(str(i), (user(prompt),))) for i, prompt in enumerate(prompts)]
    texts = pair.write(courses, [method.first_prompt(c.query) for c in courses], samples)
    _add(pair, courses, 0, texts, samples)
    return courses


def criticise(pair: EmbeddedPair, method: Tpo, courses: Sequence[Course]) -> None:
    """Contrast, textual loss and textual gradient of every query."""
    for course in courses:
        course.pair = contrast(course.pool)
    calls = [method.loss_prompt(c.query, _pair(c)) for c in courses]
    for course, call, text in zip(courses, calls, pair.write(courses, calls), strict=True):
        course.loss = Call.answered("loss", call, text)
    calls = [method.gradient_prompt(c.query, _pair(c), c.loss) for c in courses]
    for course, call, text in zip(courses, calls, pair.write(courses, calls), strict=True):
        course.gradient = Call.answered("gradient", call, text)


def updates(
    pair: EmbeddedPair, method: Tpo, courses: Sequence[Course], gradients: Sequence[str], samples: int
) -> list[str | None]:
    """Updates of every query by its text in *gradients*; None where none could be read."""
    calls = [
        method.update_prompt(c.query, _pair(c), c.loss, Call.answered("gradient", c.gradient.messages, text))
        for c, text in zip(courses, gradients, strict=True)
    ]
    replies = pair.write(courses, calls, samples)
    return [method.read_update(Completion(0, reply)) for reply in replies]


def step(pair: EmbeddedPair, method: Tpo, courses: Sequence[Course], number: int, samples: int) -> None:
    """One whole iteration."""
    criticise(pair, method, courses)
    revise(pair, method, courses, number, samples)


def revise(pair: EmbeddedPair, method: Tpo, courses: Sequence[Course], number: int, samples: int) -> None:
    """The second half of an iteration: updates by the gradients that there are."""
    texts = updates(pair, method, courses, [c.gradient.text for c in courses], samples)
    _add(pair, courses, number, texts, samples)


def _pair(course: Course) -> Pair:
    assert course.pair is not None, "criticise comes first"  # noqa: S101 - narrows the type
    return course.pair


def _add(
    pair: EmbeddedPair, courses: Sequence[Course], number: int, texts: Sequence[str | None], samples: int
) -> None:
    owners = [course for course in courses for _ in range(samples)]
    found = [(course, text) for course, text in zip(owners, texts, strict=True) if text is not None]
    values = pair.score([course.query for course, _ in found], [text for _, text in found])
    for (course, response), value in zip(found, values, strict=True):
        course.pool.append(Candidate(number, len(course.at(number)), response, Score(value)))
    for owner, text in zip(owners, texts, strict=True):
        owner.malformed += text is None
