"""A reward for ``--check-reward python:tests.experiments.sweep.rewards:marks``."""

from __future__ import annotations

from tpo.types import Message


def marks(messages: list[Message], response: str) -> float:
    """How many marks end the response: another measure than its length."""
    return float(len(response) - len(response.rstrip(".!")))
