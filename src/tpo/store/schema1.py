"""Schema 1: lines of ``trajectories.jsonl`` before calls were recorded, and without a checksum.

A step's loss, gradient and update become its calls. What schema 1 did not keep (seeds, request hashes, usage
by call, the prompt of the first samples) stays empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SCHEMA = 1

Record = Mapping[str, Any]


def lift(record: Record) -> dict[str, Any]:
    """Return *record*, a line of schema 1, with the keys of schema 2.

    Raises:
        ValueError: it is no such line. The types of what it holds are not checked.
    """
    if record.get("schema") != SCHEMA:
        raise ValueError("it has no checksum, and is not of schema version 1")
    try:
        return _lift(record)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _lift(record: Record) -> dict[str, Any]:
    usage = dict(record["usage"])
    reward_usage = usage.pop("reward")
    steps, candidates = record["steps"], record["candidates"]
    kept = ("status", "stop_reason", "query", "method", "best", "timing", "error")
    return {key: record[key] for key in kept} | {
        "schema": 2,
        "id": record["query"]["id"],
        "digest": "",
        "iterations": len(steps),
        "candidates": candidates,
        "first": {"step": 0},
        "steps": [_step(step, candidates) for step in steps],
        "usage": {phase: used for phase, used in usage.items() if used},
        "reward_usage": reward_usage,
    }


def _step(step: Record, candidates: list[Record]) -> Record:
    drawn = sum(candidate["step"] == step["step"] for candidate in candidates)
    return {
        "step": step["step"],
        "chosen": step["chosen"],
        "rejected": step["rejected"],
        "calls": list(_calls(step, drawn)),
    }


def _calls(step: Record, drawn: int) -> Iterator[Record]:
    for phase in ("loss", "gradient"):
        critique = dict(step[phase])
        messages = critique.pop("messages")
        if messages:  # else no call was made
            yield {"phase": phase, "messages": messages, "replies": [{"index": 0, **critique}]}
    unreadable = step["malformed_updates"]
    yield {
        "phase": "update",
        "messages": step["update"]["messages"],
        "n": drawn + len(unreadable),
        "reads": True,
        "replies": unreadable,
    }
