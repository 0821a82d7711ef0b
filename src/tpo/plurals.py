"""Counts as a sentence has them."""


def queries(count: int) -> str:
    """``1 query``, ``1,200 queries``."""
    return f"{count:,} {'query' if count == 1 else 'queries'}"
