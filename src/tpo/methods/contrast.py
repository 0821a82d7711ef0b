"""The contrast of a step: the best and the worst of the whole pool (paper, section 3.2)."""

from collections.abc import Sequence

from tpo.methods.wording import Wording, numbered
from tpo.types import Candidate, Messages, Pair, Query, assistant, user


def contrast(pool: Sequence[Candidate]) -> Pair:
    """Chosen: the highest reward, the earliest of equals. Rejected: the lowest of other texts, the latest.

    A response is never contrasted with its own copy: where the pool holds one text only, rejected is None.
    """
    chosen = max(pool, key=lambda c: c.reward)
    others = [c for c in pool if c.text != chosen.text]
    return Pair(chosen, min(reversed(others), key=lambda c: c.reward, default=None))


def best_among_others(
    wording: Wording, query: Query, pool: Sequence[Candidate], *, prompt: str, tag: str
) -> Messages:
    """Return the best of *pool* as the model's own turn, and the request *prompt* with the others after it.

    *tag* numbers the others. Where there are none, the request is ``refine``.
    """
    best = contrast(pool).chosen
    others = [each.text for each in pool if each is not best]
    values = {"query": query.text, "chosen": best.text}
    if others:
        request = wording.fill(prompt, others=numbered(tag, others), **values)
    else:
        request = wording.fill("refine", **values)
    return (*query.messages, assistant(best.text), user(request))
