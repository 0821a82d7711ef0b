"""Rewards by rule, named on the command line as ``python:tests.contrib.reference.scores:…``."""

from tpo.types import Message


def length(messages: list[Message], response: str) -> float:
    """Longer is better; a reply's last sign breaks ties."""
    return len(response) + sum(map(ord, response[-1:])) / 1000
