"""Rewards that a user might write by mistake, for ``--reward python:tests.cli.scores:NAME``."""

from __future__ import annotations

import math

from tpo.types import Message


def not_a_number(messages: list[Message], response: str) -> float:
    """As a division of nothing by nothing gives it, for one of the queries."""
    return math.nan if "odd" in str(messages[-1]["content"]) else float(len(response))


def nothing(messages: list[Message], response: str) -> float | None:
    """As a function gives it that forgets to return."""
    return None if "odd" in str(messages[-1]["content"]) else float(len(response))


def failing(messages: list[Message], response: str) -> float:
    """As a bug raises it."""
    if "odd" in str(messages[-1]["content"]):
        raise KeyError("score")
    return float(len(response))


def picky(messages: list[Message], response: str) -> float:
    """As a bug raises it for some responses."""
    if response == "odd":
        raise KeyError("score")
    return float(len(response))
