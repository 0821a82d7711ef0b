"""The paper's layout: independent calls, each with a system text of its own and the earlier texts quoted."""

from dataclasses import dataclass

from tpo.methods.recipe import Recipe
from tpo.types import Feedback, Messages, Pair, Query, plain_text, system, user


@dataclass(frozen=True, kw_only=True)
class Independent(Recipe):
    """TPO, or with *shows_rejected* off the revision baseline, in three calls that share no prompt."""

    shows_rejected: bool = True

    def sample(self, query: Query) -> Messages:
        """The user's messages behind a short system text, unless they bring their own."""
        if query.messages[0]["role"] == "system":
            return query.messages
        return (system(self.wording.fill("sample_system")), *query.messages)

    def loss(self, query: Query, pair: Pair) -> Messages:
        """The query and the rejected response in the system text, the chosen response as the user's turn."""
        values = {"query": transcript(query), "chosen": pair.chosen.text}
        if self.shows_rejected and pair.rejected is not None:
            task = self.wording.fill("loss_system", rejected=pair.rejected.text, **values)
        else:
            task = self.wording.fill("loss_single_system", **values)
        return (system(task), user(self.wording.fill("loss_user", **values)))

    def gradient(self, query: Query, pair: Pair, loss: Feedback) -> Messages:
        """Query, chosen response and textual loss, quoted."""
        return self._quoted("gradient", query=transcript(query), chosen=pair.chosen.text, loss=loss.text)

    def update(self, query: Query, pair: Pair, loss: Feedback, gradient: Feedback) -> Messages:
        """Query, chosen response and textual gradient, quoted."""
        del loss
        return self._quoted(
            "update", query=transcript(query), chosen=pair.chosen.text, gradient=gradient.text
        )

    def _quoted(self, phase: str, **values: str) -> Messages:
        task = system(self.wording.fill(f"{phase}_system", **values))
        return (task, user(self.wording.fill(f"{phase}_user", **values)))


def transcript(query: Query) -> str:
    """A single turn's text as it is; a longer conversation with each turn's role before it."""
    if len(query.messages) == 1:
        return query.text
    return "\n\n".join(f"{m['role'].capitalize()}: {plain_text(m)}" for m in query.messages)
