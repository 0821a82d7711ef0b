"""Training dialogues: cases laid out by the methods' own prompts, with the turns that are to be learned."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tpo.methods.paper import Paper
from tpo.methods.tags import CLOSING, OPENING
from tpo.methods.textgrad.method import TextGrad, textgrad, textgrad_revision
from tpo.methods.tpo import Tpo
from tpo.methods.wording import numbered
from tpo.types import Call, Candidate, Message, Pair, Query, Score, assistant, system, user
from training import outside
from training.cases import BASE_FACTORS, COUNTERFACTUAL, WRONG, Case, Draft, outside_case, world_case
from training.critique import STAYS
from training.wording import drawn, shipped
from training.world import FULL, Rates, draw_task, flawed, text_of

CRITIQUES = (
    ("fused", "critique_single", "critique"), ("fused", "critique_single", "critique"),
    ("ab_mcts", "critique", "critique"), ("feedback_history", "alone", "won"),
)  # fmt: skip
"""Layouts that ask for loss and gradient at once, and their texts without and with a rejected response."""
FUSIONS = (
    ("fusion", "fusion", "answer", "others"), ("aggregate", "aggregate", "attempt", "others"),
    ("tmpc", "regenerate", "part", "segments"),
)  # fmt: skip
"""Layouts that make one response of several: their text, the tag of each response, and where they stand."""

GRADIENT, UPDATE, SPARSE_UPDATE = 3.0, 2.0, 6.0
"""Weights of their tokens in the loss (1: loss, draft); a sparse gradient lists no kept line."""


@dataclass(frozen=True)
class Dialogue:
    """Messages, and what each of those weighs that the policy learns to write, by its index."""

    messages: tuple[Message, ...]
    taught: Mapping[int, float]


@dataclass(frozen=True)
class Mix:
    """Shares of the kinds of dialogues; the rest is the growing conversation of ``tpo``."""

    sample: float = 0.12
    judge: float = 0.3
    """Query, draft, loss and gradient only."""
    short: float = 0.28
    """Query, draft, gradient and update only."""
    independent: float = 0.06
    fused: float = 0.06
    fusion: float = 0.03
    losses: float = 0.02
    textgrad: float = 0.02
    """The calls of ``textgrad``, which are three times as long as others."""
    revision: float = 0.3
    """Share of the dialogues without a rejected response."""
    outside: float = 0.08
    base: float = 0.2
    """Share of the cases with a draft of the base policy's kind, which is taught as well."""
    own: float = 0.0
    """Share of the cases that are built on the policy's own drafts."""
    counterfactual: float = COUNTERFACTUAL
    """Share of the cases whose gradient is not the right one."""
    wrong: float = WRONG
    """Share of those whose gradient orders a wrong value."""
    drafts: tuple[int, int] = (2, 5)
    """Fewest and most drafts to make one of."""
    details: tuple[int, int] = FULL
    """Fewest and most details of a query."""


class Protocol:
    """Draws dialogues without end."""

    def __init__(self, mix: Mix, own: Sequence[Draft] = ()) -> None:
        self.mix = mix
        self.own = own

    def draw(self, rng: random.Random) -> Dialogue:
        """The next dialogue."""
        mix = self.mix
        kinds = {
            self._sample: mix.sample, self._judge: mix.judge, self._short: mix.short,
            self._independent: mix.independent, self._fuse_calls: mix.fused, self._fuse_drafts: mix.fusion,
            self._losses: mix.losses, self._textgrad: mix.textgrad,
        }  # fmt: skip
        left = 1.0 - sum(kinds.values())
        kind = rng.choices((*kinds, self._conversation), (*kinds.values(), left))[0]
        own = self.own if rng.random() < mix.own else ()
        if rng.random() < mix.outside:
            return kind(outside_case(rng), rng)
        count = rng.randint(*mix.drafts) if kind == self._fuse_drafts else None
        false = 0.0 if kind == self._judge else mix.counterfactual
        return kind(world_case(rng, own, mix.details, count, mix.base, false, mix.wrong), rng)

    def _query(self, prompt: str, rng: random.Random, share: float = 0.2) -> Query:
        head = (system(rng.choice(outside.SYSTEMS)),) if rng.random() < share else ()
        return Query("", (*head, user(prompt)))

    def _sample(self, case: Case, rng: random.Random) -> Dialogue:
        if rng.random() < 0.4:
            prompt, text = outside.draw_query(rng), "\n".join(outside.draw_answer(rng))
        else:
            task = draw_task(rng, details=self.mix.details)
            prompt, text = task.prompt, text_of(flawed(task, Rates().times(rng.choice(BASE_FACTORS)), rng))
        del case
        messages = self._query(prompt, rng, 0.35).messages
        return Dialogue((*messages, assistant(text)), {len(messages): 1.0})

    def _conversation(self, case: Case, rng: random.Random) -> Dialogue:
        method, query, pair = self._method(case, rng), self._query(case.prompt, rng), _pair(case)
        loss = Call.answered("loss", method.loss_prompt(query, pair), case.loss)
        gradient = Call.answered("gradient", method.gradient_prompt(query, pair, loss), case.gradient)
        messages = (*method.update_prompt(query, pair, loss, gradient), assistant(_tagged(case.improved)))
        last = len(messages) - 1
        return Dialogue(
            messages, {last: _update(case), last - 4: 1.0} | _gradient(case, last - 2) | _draft(case, query)
        )

    def _method(self, case: Case, rng: random.Random) -> Tpo:
        shows = case.rejected is not None and rng.random() > self.mix.revision
        return Tpo(name="tpo", wording=drawn("conversation", rng), shows_rejected=shows)

    def _judge(self, case: Case, rng: random.Random) -> Dialogue:
        """Only the loss and the gradient: short, so that there are many."""
        method, query, pair = self._method(case, rng), self._query(case.prompt, rng), _pair(case)
        loss = Call.answered("loss", method.loss_prompt(query, pair), case.loss)
        if not case.true_gradient:
            messages = (*loss.messages, assistant(loss.text))
            return Dialogue(messages, {len(messages) - 1: 1.0} | _draft(case, query))
        messages = (*method.gradient_prompt(query, pair, loss), assistant(case.gradient))
        last = len(messages) - 1
        return Dialogue(messages, {last - 2: 1.0} | _gradient(case, last) | _draft(case, query))

    def _short(self, case: Case, rng: random.Random) -> Dialogue:
        wording = drawn("conversation", rng)
        messages = (
            user(case.prompt),
            assistant(case.chosen),
            user(wording.fill("gradient", query="", chosen="")),
            assistant(case.gradient),
            user(wording.fill("update", query="", chosen="")),
            assistant(_tagged(case.improved)),
        )
        return Dialogue(messages, {5: _update(case)} | ({1: 1.0} if case.base else {}))

    def _independent(self, case: Case, rng: random.Random) -> Dialogue:
        shows = case.rejected is not None and rng.random() > self.mix.revision
        method = Paper(name="paper", wording=drawn("independent", rng), shows_rejected=shows)
        return _one_call(method, self._query(case.prompt, rng, 0.1), case, rng)

    def _textgrad(self, case: Case, rng: random.Random) -> Dialogue:
        """One call in the words of the installed textgrad package."""
        method = rng.choice(_textgrads())
        opening, closing = method.templates.opening, method.templates.closing
        return _one_call(method, self._query(case.prompt, rng, 0.0), case, rng, opening, closing)

    def _fuse_calls(self, case: Case, rng: random.Random) -> Dialogue:
        """Loss and gradient in one reply, as ``fused``, ``ab-mcts`` and ``feedback-history`` ask for them."""
        layout, alone, against = rng.choice(CRITIQUES)
        wording, query = shipped(layout), self._query(case.prompt, rng)
        values = {
            "query": case.prompt, "chosen": case.chosen, "rejected": case.rejected or "",
            "other": case.rejected or "", "score": str(rng.randint(1, 99)),
        }  # fmt: skip
        shows = case.rejected is not None and rng.random() > self.mix.revision
        request = wording.fill(against if shows else alone, **values)
        draft = (*query.messages, assistant(case.chosen))
        critique = f"{case.loss}\n{case.gradient}".strip()
        if layout == "feedback_history":
            update = (*draft, user(wording.fill("update", history=numbered("remark", [critique]), **values)))
            if not case.true_gradient or rng.random() < 0.5:
                return Dialogue((*update, assistant(_tagged(case.improved))), {len(update): _update(case)})
            return Dialogue((*draft, user(request), assistant(critique)), {len(draft) + 1: 1.0})
        messages = (*draft, user(request), assistant(critique), user(wording.fill("update", **values)))
        last = len(messages)
        taught = {last: _update(case)} | ({last - 2: 2.0} if case.true_gradient else {}) | _draft(case, query)
        return Dialogue((*messages, assistant(_tagged(case.improved))), taught)

    def _losses(self, case: Case, rng: random.Random) -> Dialogue:
        """A gradient from quoted losses, as ``multi-loss`` asks for it."""
        wording, query = shipped("multi_loss"), self._query(case.prompt, rng)
        losses = numbered("assessment", [case.loss] * rng.choice((1, 2)))
        values = {"query": case.prompt, "chosen": case.chosen, "losses": losses}
        messages = (
            *query.messages,
            assistant(case.chosen),
            user(wording.fill("gradient", **values)),
            assistant(case.gradient),
            user(wording.fill("update", **values)),
            assistant(_tagged(case.improved)),
        )
        last = len(messages) - 1
        return Dialogue(messages, {last: _update(case)} | _gradient(case, last - 2) | _draft(case, query))

    def _fuse_drafts(self, case: Case, rng: random.Random) -> Dialogue:
        """One response from several, as ``fusion``, ``aggregate`` and ``tmpc`` ask for it."""
        layout, name, tag, key = rng.choice(FUSIONS)
        query, others = self._query(case.prompt, rng), numbered(tag, case.others)
        values = {"query": case.prompt, "chosen": case.chosen, key: others}
        request = user(shipped(layout).fill(name, **values))
        messages = (*query.messages, assistant(case.chosen), request)
        return Dialogue((*messages, assistant(_tagged(case.fused))), {len(messages): UPDATE})


@cache
def _textgrads() -> tuple[TextGrad, TextGrad]:
    return textgrad(), textgrad_revision()


def _one_call(
    method: Tpo, query: Query, case: Case, rng: random.Random, opening: str = OPENING, closing: str = CLOSING
) -> Dialogue:
    """One of the calls of *method*, which are independent, and its reply, which is taught."""
    pair = _pair(case)
    loss = Call.answered("loss", method.loss_prompt(query, pair), case.loss)
    gradient = Call.answered("gradient", method.gradient_prompt(query, pair, loss), case.gradient)
    update = method.update_prompt(query, pair, loss, gradient)
    calls = [
        (loss.messages, loss.text, 1.0),
        (update, f"{opening}\n{case.improved}\n{closing}", _update(case)),
    ]
    if case.true_gradient:
        calls.append((gradient.messages, gradient.text, GRADIENT))
    messages, reply, weight = rng.choice(calls)
    return Dialogue((*messages, assistant(reply)), {len(messages): weight})


def _draft(case: Case, query: Query) -> dict[int, float]:
    """The weight of the chosen draft, when it is one that the base policy should write."""
    return {len(query.messages): 1.0} if case.base else {}


def _update(case: Case) -> float:
    """The weight of the update; without a word on each line, to copy it has to be learned."""
    return UPDATE if f": {STAYS}" in case.gradient else SPARSE_UPDATE


def _gradient(case: Case, index: int) -> dict[int, float]:
    """The weight of the gradient, when it is true."""
    return {index: GRADIENT} if case.true_gradient else {}


def _tagged(text: str) -> str:
    return f"{OPENING}\n{text}\n{CLOSING}"


def _pair(case: Case) -> Pair:
    chosen = Candidate(0, 0, case.chosen, Score(1.0))
    return Pair(chosen, None if case.rejected is None else Candidate(0, 1, case.rejected, Score(0.0)))
