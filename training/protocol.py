"""Training dialogues: cases laid out by the methods' own prompts, with the turns that are to be learned."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tpo.methods.paper import Paper
from tpo.methods.tags import CLOSING, OPENING
from tpo.methods.tpo import Tpo
from tpo.types import Call, Candidate, Message, Pair, Query, Score, assistant, system, user
from training import outside
from training.cases import Case, Draft, outside_case, world_case
from training.wording import Wordings
from training.world import Rates, draw_task, flawed, text_of

SAMPLED = Rates(wrong=0.2, missing=0.12, cold=0.42, rude=0.4, repeated=0.3, rambling=0.35, neighbours=0.9)
"""The flaws of first samples: many, and of few kinds, since sampling below temperature 1 thins them out."""


@dataclass(frozen=True)
class Dialogue:
    """Messages, and the indices of those that the policy learns to write."""

    messages: tuple[Message, ...]
    taught: frozenset[int]


@dataclass(frozen=True)
class Mix:
    """Shares of the kinds of dialogues; *own* is the share of cases built on the policy's own drafts."""

    sample: float = 0.25
    judge: float = 0.0
    short: float = 0.0
    independent: float = 0.12
    revision: float = 0.12
    outside: float = 0.08
    own: float = 0.0


class Protocol:
    """Draws dialogues without end."""

    def __init__(self, mix: Mix, own: Sequence[Draft] = ()) -> None:
        self.mix = mix
        self.own = own
        self.wordings = Wordings()

    def draw(self, rng: random.Random) -> Dialogue:
        """The next dialogue."""
        if rng.random() < self.mix.sample:
            return self._sample(rng)
        own = self.own if rng.random() < self.mix.own else ()
        if rng.random() < self.mix.judge:
            return self._judge(world_case(rng, own, heavy=True), rng)
        case = outside_case(rng) if rng.random() < self.mix.outside else world_case(rng, own)
        kind = rng.random()
        if kind < self.mix.short:
            return self._short(case, rng)
        if kind < self.mix.short + self.mix.independent:
            return self._independent(case, rng)
        return self._conversation(case, rng)

    def _query(self, prompt: str, rng: random.Random, share: float = 0.2) -> Query:
        head = (system(rng.choice(outside.SYSTEMS)),) if rng.random() < share else ()
        return Query("", (*head, user(prompt)))

    def _sample(self, rng: random.Random) -> Dialogue:
        if rng.random() < max(self.mix.outside, 0.25):
            prompt, text = outside.draw_query(rng), "\n".join(outside.draw_answer(rng))
        else:
            task = draw_task(rng)
            prompt, text = task.prompt, text_of(flawed(task, SAMPLED.times(rng.choice((0.7, 1.0, 1.3))), rng))
        messages = self._query(prompt, rng, 0.35).messages
        return Dialogue((*messages, assistant(text)), frozenset({len(messages)}))

    def _shows_rejected(self, case: Case, rng: random.Random) -> bool:
        return case.rejected is not None and rng.random() > self.mix.revision

    def _conversation(self, case: Case, rng: random.Random) -> Dialogue:
        shows = self._shows_rejected(case, rng)
        method = Tpo(name="tpo", wording=self.wordings.draw("conversation", rng), shows_rejected=shows)
        query, pair = self._query(case.prompt, rng), _pair(case)
        loss = Call.answered("loss", method.loss_prompt(query, pair), _loss(case, shows_rejected=shows))
        gradient = Call.answered("gradient", method.gradient_prompt(query, pair, loss), case.gradient)
        messages = (*method.update_prompt(query, pair, loss, gradient), assistant(_tagged(case)))
        last = len(messages) - 1
        return Dialogue(messages, frozenset({last, last - 4} | ({last - 2} if case.true_gradient else set())))

    def _judge(self, case: Case, rng: random.Random) -> Dialogue:
        """Only the loss, and the gradient when it is true: short, so that there are many."""
        wording = self.wordings.draw("conversation", rng)
        method = Tpo(name="revision", wording=wording, shows_rejected=False)
        query, pair = self._query(case.prompt, rng), _pair(case)
        loss = Call.answered("loss", method.loss_prompt(query, pair), _loss(case, shows_rejected=False))
        if not case.true_gradient:
            return Dialogue((*loss.messages, assistant(loss.text)), frozenset({len(loss.messages)}))
        messages = (*method.gradient_prompt(query, pair, loss), assistant(case.gradient))
        last = len(messages) - 1
        return Dialogue(messages, frozenset({last, last - 2}))

    def _short(self, case: Case, rng: random.Random) -> Dialogue:
        wording = self.wordings.draw("conversation", rng)
        ask, rewrite = (
            user(wording.fill("gradient", query="", chosen="")),
            user(wording.fill("update", query="", chosen="")),
        )
        turns = (
            user(case.prompt),
            assistant(case.chosen),
            ask,
            assistant(case.gradient),
            rewrite,
            assistant(_tagged(case)),
        )
        return Dialogue(turns, frozenset({5}))

    def _independent(self, case: Case, rng: random.Random) -> Dialogue:
        shows = self._shows_rejected(case, rng)
        method = Paper(name="paper", wording=self.wordings.draw("independent", rng), shows_rejected=shows)
        query, pair = self._query(case.prompt, rng, 0.1), _pair(case)
        loss = Call.answered("loss", method.loss_prompt(query, pair), _loss(case, shows_rejected=shows))
        gradient = Call.answered("gradient", method.gradient_prompt(query, pair, loss), case.gradient)
        calls = [
            (loss.messages, loss.text),
            (method.update_prompt(query, pair, loss, gradient), _tagged(case)),
        ]
        if case.true_gradient:
            calls.append((gradient.messages, gradient.text))
        messages, reply = rng.choice(calls)
        return Dialogue((*messages, assistant(reply)), frozenset({len(messages)}))


def _loss(case: Case, *, shows_rejected: bool) -> str:
    """The loss, without its last line when the rejected response is not shown."""
    lines = case.loss.split("\n")
    return "\n".join(
        lines if shows_rejected else [line for line in lines if not line.startswith("Rejected: ")]
    )


def _tagged(case: Case) -> str:
    return f"{OPENING}\n{case.improved}\n{CLOSING}"


def _pair(case: Case) -> Pair:
    chosen = Candidate(0, 0, case.chosen, Score(1.0))
    return Pair(chosen, None if case.rejected is None else Candidate(0, 1, case.rejected, Score(0.0)))
