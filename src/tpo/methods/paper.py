"""The paper's layout: independent calls, each with a system text of its own; earlier texts are quoted.

As the reference's calls do, the loss shows query, chosen and rejected response; the gradient these and the
loss; the update these, the gradient and the constraints on its output.
"""

from __future__ import annotations

from dataclasses import dataclass

from tpo.methods.tpo import Tpo
from tpo.methods.wording import Wording
from tpo.types import Call, Messages, Pair, Phase, Query, plain_text, system, user


@dataclass(frozen=True, kw_only=True)
class Paper(Tpo):
    """TPO, or with *shows_rejected* off the revision baseline, in three calls that share no prompt."""

    name: str = "paper"

    def first_prompt(self, query: Query) -> Messages:
        """Return the user's messages behind a short system text, unless they bring their own."""
        return behind_system_text(self.wording, query)

    def loss_prompt(self, query: Query, pair: Pair) -> Messages:
        """Ask for the loss; the system text holds query and rejected response, the turn the chosen one."""
        values = {"query": transcript(query), "chosen": pair.chosen.text}
        if self.shows_rejected and pair.rejected is not None:
            task = self.wording.fill("loss_system", rejected=pair.rejected.text, **values)
        else:
            task = self.wording.fill("loss_single_system", **values)
        return (system(task), user(self.wording.fill("loss_user", **values)))

    def gradient_prompt(self, query: Query, pair: Pair, loss: Call) -> Messages:
        """Quote query, both responses and textual loss."""
        return self._quoted("gradient", query, pair, loss=loss.text)

    def update_prompt(self, query: Query, pair: Pair, loss: Call, gradient: Call) -> Messages:
        """Quote query, both responses, textual loss and textual gradient."""
        return self._quoted("update", query, pair, loss=loss.text, gradient=gradient.text)

    def _quoted(self, phase: Phase, query: Query, pair: Pair, **said: str) -> Messages:
        values = {"query": transcript(query), "chosen": pair.chosen.text} | said
        task = system(self.wording.fill(f"{phase}_system", **values))
        if self.shows_rejected and pair.rejected is not None:
            return (task, user(self.wording.fill(f"{phase}_user", rejected=pair.rejected.text, **values)))
        return (task, user(self.wording.fill(f"{phase}_single_user", **values)))


def behind_system_text(wording: Wording, query: Query) -> Messages:
    """Return the query's messages behind the text ``sample_system``, unless they have a system text."""
    if query.messages[0]["role"] in ("system", "developer"):
        return query.messages
    return (system(wording.fill("sample_system")), *query.messages)


def transcript(query: Query) -> str:
    """Return a single turn's text as it is; a longer conversation with each turn's role before it."""
    if len(query.messages) == 1:
        return query.text
    return "\n\n".join(f"{m['role'].capitalize()}: {plain_text(m)}" for m in query.messages)
