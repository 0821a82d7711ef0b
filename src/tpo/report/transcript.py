"""Transcript of one trajectory for the page: each text is stored once and referenced by number.

Prompts quote earlier texts, so long texts occur many times. References keep a page of 10,000 queries small.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from tpo.store.jsonline import plain
from tpo.types import Call, Candidate, Messages, Score, Step, Trajectory


@dataclass
class _Texts:
    """Distinct texts, numbered in order of first use."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def messages(self, messages: Messages) -> list[list[int]]:
        """Return role and content of each message as numbers; content in parts is stored as JSON."""
        return [[self.number(str(m["role"])), self.number(_content(m["content"] or ""))] for m in messages]


def transcript(trajectory: Trajectory) -> dict[str, Any]:
    """Return *trajectory* as JSON values; texts are indices into ``texts``."""
    texts = _Texts()
    query, best = trajectory.query, trajectory.best
    record = {
        "id": query.id,
        "method": trajectory.method,
        "status": trajectory.status,
        "stop": trajectory.stop_reason,
        "selection": trajectory.selection,
        "fallback": trajectory.fallback,
        "error": trajectory.error,
        "messages": texts.messages(query.messages),
        "reference": None if query.reference is None else texts.number(query.reference),
        "metadata": [[str(name), _content(plain(value))] for name, value in query.metadata.items()],
        "best": None if best is None else best.id,
        "candidates": [_candidate(candidate, texts) for candidate in trajectory.pool],
        "steps": [_step(step, texts) for step in trajectory.steps],
        "usage": {phase: asdict(usage) for phase, usage in trajectory.usage.items()},
        "reward_usage": asdict(trajectory.reward_usage),
        "selection_usage": asdict(trajectory.selection_usage),
        "timing": asdict(trajectory.timing),
    }
    return record | {"texts": list(texts.numbers)}


def _content(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)


def _candidate(candidate: Candidate, texts: _Texts) -> dict[str, Any]:
    reasoning, score = candidate.reasoning, candidate.score
    return {
        "id": candidate.id,
        "step": candidate.step,
        "parents": list(candidate.parents),
        "text": texts.number(candidate.text),
        "reward": None if score is None else score.value,
        "finish": candidate.finish_reason,
        "truncated": 0 if score is None else score.truncated_tokens,
        "parts": _parts(score),
        "criteria": [] if score is None else [[str(name), value] for name, value in score.criteria.items()],
        "reasoning": None if reasoning is None else texts.number(reasoning),
    }


def _parts(score: Score | None) -> dict[str, float]:
    """Return the members' scores and the check reward's."""
    if score is None:
        return {}
    return dict(score.parts) | ({} if score.check is None else {"check": score.check})


def _step(step: Step, texts: _Texts) -> dict[str, Any]:
    pair = step.pair
    return {
        "step": step.number,
        "chosen": None if pair is None else pair.chosen.id,
        "rejected": None if pair is None or pair.rejected is None else pair.rejected.id,
        "calls": [_call(call, texts) for call in step.calls],
    }


def _call(call: Call, texts: _Texts) -> dict[str, Any]:
    return {
        "place": call.place,
        "reads": call.reads,
        "messages": texts.messages(call.messages),
        "replies": [[r.index, texts.number(r.text), r.finish_reason] for r in call.replies],
    }
