"""Loss and gradient in one call: two round trips an iteration instead of three, and one reply less to read.

The critique comes back as the gradient; the loss stays empty, since no call is made for it.
"""

from dataclasses import dataclass

from tpo.methods.conversation import Conversation
from tpo.types import Feedback, Messages, Pair, Query, assistant, user


@dataclass(frozen=True, kw_only=True)
class Fused(Conversation):
    """The growing conversation, in which one request asks for the comparison and the instructions."""

    def loss(self, query: Query, pair: Pair) -> Messages:
        """No messages: the gradient's call asks for both."""
        del query, pair
        return ()

    def gradient(self, query: Query, pair: Pair, loss: Feedback) -> Messages:
        """The query, the chosen response, and the request to compare it and say what to change."""
        del loss
        values = {"query": query.text, "chosen": pair.chosen.text}
        if self.shows_rejected and pair.rejected is not None:
            request = self.wording.fill("critique", rejected=pair.rejected.text, **values)
        else:
            request = self.wording.fill("critique_single", **values)
        return (*query.messages, assistant(pair.chosen.text), user(request))
