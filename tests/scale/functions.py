"""A policy and a reward as functions, which count what they are asked."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter

from tpo.types import Messages, Sampling

CALLS: Counter[str] = Counter()
MEETING = threading.Barrier(2, timeout=300)


def answer(messages: Messages, sampling: Sampling) -> str:
    """A text of the messages and the seed."""
    asked = json.dumps([messages, sampling.seed])
    CALLS[asked] += 1
    text = hashlib.sha256(asked.encode()).hexdigest()[:12]
    update = "<improved_response>" in str(messages[-1]["content"])
    return f"<improved_response>{text}</improved_response>" if update else text


def often(messages: Messages, sampling: Sampling) -> str:
    """The same text for three of four seeds."""
    del messages
    return "common" if (sampling.seed or 0) % 4 else "a rare answer"


def length(messages: Messages, response: str) -> float:
    """A reward of the length."""
    del messages
    return len(response)


def meet(messages: Messages, sampling: Sampling) -> str:
    """A text, once two calls are in flight."""
    MEETING.wait()
    return answer(messages, sampling)


def value(messages: Messages, response: str) -> float:
    """A reward of the text."""
    return int(hashlib.sha256(response.encode()).hexdigest()[:6], 16) / 1e6
