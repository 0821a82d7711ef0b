"""Training dialogues: cases laid out by the methods' own prompts, with the turns that are to be learned."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tpo.methods.fused import Fused
from tpo.methods.fusion import Fusion
from tpo.methods.paper import Paper
from tpo.methods.tags import CLOSING, OPENING
from tpo.methods.tpo import Tpo
from tpo.methods.wording import load_wording
from tpo.types import Call, Candidate, Message, Pair, Query, Score, assistant, system, user
from training import outside
from training.cases import BASE_FACTORS, Case, Draft, outside_case, world_case
from training.wording import Wordings
from training.world import FULL, Rates, draw_task, flawed, text_of


@dataclass(frozen=True)
class Dialogue:
    """Messages, and the indices of those that the policy learns to write."""

    messages: tuple[Message, ...]
    taught: frozenset[int]


@dataclass(frozen=True)
class Mix:
    """Shares of the kinds of dialogues; the rest is the growing conversation of ``tpo``."""

    sample: float = 0.15
    judge: float = 0.2
    """Query, draft, loss and gradient only."""
    short: float = 0.2
    """Query, draft, gradient and update only."""
    independent: float = 0.08
    fused: float = 0.06
    fusion: float = 0.04
    revision: float = 0.3
    """Share of the dialogues without a rejected response."""
    outside: float = 0.06
    own: float = 0.0
    """Share of the cases that are built on the policy's own drafts."""
    details: tuple[int, int] = FULL
    """Fewest and most details of a query."""


class Protocol:
    """Draws dialogues without end."""

    def __init__(self, mix: Mix, own: Sequence[Draft] = ()) -> None:
        self.mix = mix
        self.own = own
        self.wordings = Wordings()
        self._fused = Fused(wording=load_wording("fused"))
        self._fusion = Fusion(wording=load_wording("fusion"))

    def draw(self, rng: random.Random) -> Dialogue:
        """The next dialogue."""
        mix = self.mix
        kinds = {
            self._sample: mix.sample, self._judge: mix.judge, self._short: mix.short,
            self._independent: mix.independent, self._fuse_calls: mix.fused, self._fuse_drafts: mix.fusion,
        }  # fmt: skip
        left = 1.0 - sum(kinds.values())
        kind = rng.choices((*kinds, self._conversation), (*kinds.values(), left))[0]
        own = self.own if rng.random() < mix.own else ()
        if rng.random() < mix.outside:
            return kind(outside_case(rng), rng)
        count = rng.randint(2, 5) if kind == self._fuse_drafts else None
        return kind(world_case(rng, own, mix.details, count), rng)

    def _query(self, prompt: str, rng: random.Random, share: float = 0.2) -> Query:
        head = (system(rng.choice(outside.SYSTEMS)),) if rng.random() < share else ()
        return Query("", (*head, user(prompt)))

    def _sample(self, case: Case, rng: random.Random) -> Dialogue:
        if rng.random() < max(self.mix.outside, 0.25):
            prompt, text = outside.draw_query(rng), "\n".join(outside.draw_answer(rng))
        else:
            task = draw_task(rng, details=self.mix.details)
            prompt, text = task.prompt, text_of(flawed(task, Rates().times(rng.choice(BASE_FACTORS)), rng))
        del case
        messages = self._query(prompt, rng, 0.35).messages
        return Dialogue((*messages, assistant(text)), frozenset({len(messages)}))

    def _conversation(self, case: Case, rng: random.Random) -> Dialogue:
        method, query, pair = self._method(case, rng), self._query(case.prompt, rng), _pair(case)
        loss = Call.answered("loss", method.loss_prompt(query, pair), case.loss)
        gradient = Call.answered("gradient", method.gradient_prompt(query, pair, loss), case.gradient)
        messages = (*method.update_prompt(query, pair, loss, gradient), assistant(_tagged(case.improved)))
        last = len(messages) - 1
        taught = {last, last - 4} | ({last - 2} if case.true_gradient else set())
        return Dialogue(messages, frozenset(taught | _draft(case, query)))

    def _method(self, case: Case, rng: random.Random) -> Tpo:
        shows = case.rejected is not None and rng.random() > self.mix.revision
        return Tpo(name="tpo", wording=self.wordings.draw("conversation", rng), shows_rejected=shows)

    def _judge(self, case: Case, rng: random.Random) -> Dialogue:
        """Only the loss, and the gradient when it is true: short, so that there are many."""
        method, query, pair = self._method(case, rng), self._query(case.prompt, rng), _pair(case)
        loss = Call.answered("loss", method.loss_prompt(query, pair), case.loss)
        if not case.true_gradient:
            taught = {len(loss.messages)} | _draft(case, query)
            return Dialogue((*loss.messages, assistant(loss.text)), frozenset(taught))
        messages = (*method.gradient_prompt(query, pair, loss), assistant(case.gradient))
        last = len(messages) - 1
        return Dialogue(messages, frozenset({last, last - 2} | _draft(case, query)))

    def _short(self, case: Case, rng: random.Random) -> Dialogue:
        wording = self.wordings.draw("conversation", rng)
        messages = (
            user(case.prompt),
            assistant(case.chosen),
            user(wording.fill("gradient", query="", chosen="")),
            assistant(case.gradient),
            user(wording.fill("update", query="", chosen="")),
            assistant(_tagged(case.improved)),
        )
        return Dialogue(messages, frozenset({5} | ({1} if case.base else set())))

    def _independent(self, case: Case, rng: random.Random) -> Dialogue:
        shows = case.rejected is not None and rng.random() > self.mix.revision
        method = Paper(name="paper", wording=self.wordings.draw("independent", rng), shows_rejected=shows)
        query, pair = self._query(case.prompt, rng, 0.1), _pair(case)
        loss = Call.answered("loss", method.loss_prompt(query, pair), case.loss)
        gradient = Call.answered("gradient", method.gradient_prompt(query, pair, loss), case.gradient)
        calls = [
            (loss.messages, loss.text),
            (method.update_prompt(query, pair, loss, gradient), _tagged(case.improved)),
        ]
        if case.true_gradient:
            calls.append((gradient.messages, gradient.text))
        messages, reply = rng.choice(calls)
        return Dialogue((*messages, assistant(reply)), frozenset({len(messages)}))

    def _fuse_calls(self, case: Case, rng: random.Random) -> Dialogue:
        """Loss and gradient in one reply, as ``fused`` asks for them."""
        query, pair = self._query(case.prompt, rng), _pair(case)
        critique = Call.answered(
            "gradient", self._fused.critique_prompt(query, pair), f"{case.loss}\n{case.gradient}"
        )
        messages = (*self._fused.update_prompt(query, pair, critique), assistant(_tagged(case.improved)))
        last = len(messages) - 1
        taught = {last, last - 2} if case.true_gradient else {last}
        return Dialogue(messages, frozenset(taught | _draft(case, query)))

    def _fuse_drafts(self, case: Case, rng: random.Random) -> Dialogue:
        """One response from several, as ``fusion`` asks for it."""
        query = self._query(case.prompt, rng)
        pool = [Candidate(0, 0, case.chosen, Score(1.0))]
        pool += [Candidate(0, index, text, Score(0.0)) for index, text in enumerate(case.others, 1)]
        messages = self._fusion.fusion_prompt(query, pool)
        return Dialogue((*messages, assistant(_tagged(case.fused))), frozenset({len(messages)}))


def _draft(case: Case, query: Query) -> set[int]:
    """The index of the chosen draft, when it is one that the base policy should write."""
    return {len(query.messages)} if case.base else set()


def _tagged(text: str) -> str:
    return f"{OPENING}\n{text}\n{CLOSING}"


def _pair(case: Case) -> Pair:
    chosen = Candidate(0, 0, case.chosen, Score(1.0))
    return Pair(chosen, None if case.rejected is None else Candidate(0, 1, case.rejected, Score(0.0)))
