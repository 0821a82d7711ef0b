"""A reward for ``--reward python:tests.experiments.tune.rewards:words``, which can end its process."""

from __future__ import annotations

import os
import signal
from itertools import count

from tpo.types import Message

KILL_AT = "KILL_AT_CALL"
"""Environment variable: the number of the call at which the process is killed."""
calls = count(1)


def words(messages: list[Message], response: str) -> float:
    """Return the number of different words."""
    del messages
    if next(calls) == int(os.environ.get(KILL_AT, "0")):
        os.kill(os.getpid(), signal.SIGKILL)
    return float(len(set(response.split())))
