"""The contrast of a step: the best and the worst of the whole pool (paper, section 3.2)."""

from collections.abc import Sequence

from tpo.types import Candidate, Pair


def contrast(pool: Sequence[Candidate]) -> Pair:
    """Chosen: the highest reward, the earliest of equals. Rejected: the lowest of other texts, the latest.

    A response is never contrasted with its own copy: where the pool holds one text only, rejected is None.
    """
    chosen = max(pool, key=lambda c: c.reward)
    others = [c for c in pool if c.text != chosen.text]
    return Pair(chosen, min(reversed(others), key=lambda c: c.reward, default=None))
