"""The default layout: one growing conversation, each call's prompt a prefix of the next.

The query's own messages come first, unchanged, then the chosen response as the model's own turn, so a server
with prefix caching reads every token once, and multi-turn, system and image messages need no quoting.
"""

from dataclasses import dataclass

from tpo.methods.recipe import Recipe
from tpo.types import Feedback, Messages, Pair, Query, assistant, user


@dataclass(frozen=True, kw_only=True)
class Conversation(Recipe):
    """TPO, or with *shows_rejected* off the paper's revision baseline, as one conversation."""

    shows_rejected: bool = True

    def loss(self, query: Query, pair: Pair) -> Messages:
        """The query, the chosen response, and the request to hold it against the rejected one."""
        if self.shows_rejected and pair.rejected is not None:
            request = self.wording.fill("loss", rejected=pair.rejected.text, **_common(query, pair))
        else:
            request = self.wording.fill("loss_single", **_common(query, pair))
        return (*query.messages, assistant(pair.chosen.text), user(request))

    def gradient(self, query: Query, pair: Pair, loss: Feedback) -> Messages:
        """The loss call and its reply, and the request for instructions."""
        request = self.wording.fill("gradient", **_common(query, pair))
        return (*loss.messages, assistant(loss.text), user(request))

    def update(self, query: Query, pair: Pair, loss: Feedback, gradient: Feedback) -> Messages:
        """The gradient call and its reply, and the request to rewrite."""
        del loss  # it stands in the gradient call's messages already
        request = self.wording.fill("update", **_common(query, pair))
        return (*gradient.messages, assistant(gradient.text), user(request))


def _common(query: Query, pair: Pair) -> dict[str, str]:
    return {"query": query.text, "chosen": pair.chosen.text}
