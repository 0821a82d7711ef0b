"""Arena-Hard's own files, so that its authors' scripts can grade our answers and we read their judgments.

data/BENCH/model_answer/MODEL.jsonl             answers, one a line
data/BENCH/model_judgment/JUDGE/MODEL.jsonl     both games of a query, one a line
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tpo.data.load import open_source
from tpo.data.row import Row
from tpo.errors import DataError
from tpo.experiments.bench.grading import Answer
from tpo.experiments.bench.hub import as_record, column
from tpo.experiments.bench.judged.verdict import LABELS, Games
from tpo.types import plain_text

_ODD = re.compile(r"[^A-Za-z0-9._-]+")


def model_name(answer: Answer) -> str:
    """The name under which *answer*'s writer stands in those files, its seed in it."""
    name = _ODD.sub("-", answer.generator).strip("-.") or "model"
    seed = f"seed-{answer.seed}"
    return name if name.endswith(seed) else f"{name}-{seed}"


@dataclass(frozen=True, slots=True)
class ArenaFolder:
    """The tree ``data/BENCH`` inside *root*; *clock* tells the seconds that answers are stamped with."""

    root: Path
    bench: str
    clock: Callable[[], float] = time.time

    def answers(self, model: str) -> Path:
        """Where *model*'s answers are."""
        return self.root / "data" / self.bench / "model_answer" / f"{model}.jsonl"

    def judgments(self, judge: str, model: str) -> Path:
        """Where *judge*'s verdicts on *model* are."""
        name = _ODD.sub("-", judge).strip("-.") or "judge"
        return self.root / "data" / self.bench / "model_judgment" / name / f"{model}.jsonl"

    def write_answers(self, answers: Sequence[Answer]) -> tuple[Path, ...]:
        """Write *answers*, keeping those that were there; a file is replaced whole, never half written."""
        models: dict[str, list[Answer]] = {}
        for answer in answers:
            models.setdefault(model_name(answer), []).append(answer)
        return tuple(self._write_model(model, mine) for model, mine in models.items())

    def write_judgments(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write both games of each query, a file for each judge and model, replaced whole."""
        files: dict[Path, list[Mapping[str, Any]]] = {}
        for row in rows:
            files.setdefault(self.judgments(str(row["judge"]), str(row["model"])), []).append(row)
        for path, mine in files.items():
            _replace(path, mine)

    def _write_model(self, model: str, answers: Sequence[Answer]) -> Path:
        path = self.answers(model)
        rows = {str(row.get("uid")): row for row in _written(path)}
        for answer in answers:
            before = rows.get(answer.query.id)
            if before is None or before.get("messages") != _messages(answer):
                rows[answer.query.id] = self._row(model, answer)
        _replace(path, rows.values())
        return path

    def _row(self, model: str, answer: Answer) -> dict[str, Any]:
        identity = uuid5(NAMESPACE_URL, f"{model}/{answer.query.id}/{answer.text}")
        return {
            "uid": answer.query.id,
            "ans_id": identity.hex,
            "model": model,
            "messages": _messages(answer),
            "tstamp": self.clock(),
            "metadata": {},  # what style control counts, the authors' add_markdown_info.py fills in
        }


def _replace(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    fresh.write_text("".join(lines), "utf-8", errors="replace")  # half a surrogate pair is no text anywhere
    fresh.replace(path)


def _messages(answer: Answer) -> list[dict[str, Any]]:
    asked = [{"role": m["role"], "content": plain_text(m)} for m in answer.query.messages]
    return [*asked, {"role": "assistant", "content": {"answer": answer.text}}]


def _written(path: Path) -> Iterable[Mapping[str, Any]]:
    return [as_record(row) for row in open_source(str(path)).rows()] if path.is_file() else []


def answer_of(row: Row) -> tuple[str, str]:
    """A row of ``model_answer``: the query's id and the answer's text.

    Raises:
        DataError: it has another shape.
    """
    messages = as_record(row).get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, Mapping) else None
    text = content.get("answer") if isinstance(content, Mapping) else content
    if not isinstance(text, str):
        raise DataError(
            f"{row.place}: 'messages' must end with an answer, as in Arena-Hard's model_answer files"
        )
    return column(row, "uid"), text


@dataclass(frozen=True, slots=True)
class Judgment:
    """Both games of one query as a file holds them; *games* is None where a verdict is missing."""

    uid: str
    judge: str
    games: Games | None
    prompts: tuple[str, ...] = ()

    def is_of(self, answer: str) -> bool:
        """Whether *answer* is what was judged, as far as the file holds the prompts."""
        return all(answer in prompt for prompt in self.prompts)


def read_judgments(path: Path) -> dict[str, Judgment]:
    """The judgments of a file by the ids of queries, the last of several.

    Raises:
        DataError: the file is not there, or a row has another shape.
    """
    return {found.uid: found for found in map(_judgment, open_source(str(path)).rows())}


def _judgment(row: Row) -> Judgment:
    games = as_record(row).get("games")
    if not isinstance(games, list) or len(games) != 2:
        raise DataError(
            f"{row.place}: 'games' must be a list of two, as in Arena-Hard's model_judgment files"
        )
    labels = [_label(game, row.place) for game in games]
    both = None if None in labels else Games(str(labels[0]), str(labels[1]))
    prompts = tuple(text for game in games if (text := _prompt(game)) is not None)
    return Judgment(column(row, "uid"), column(row, "judge"), both, prompts)


def _label(game: object, place: str) -> str | None:
    """A game's label; None where the judge gave none, which the authors' scripts leave out."""
    label = game.get("score") if isinstance(game, Mapping) else None
    if label is not None and label not in LABELS:
        raise DataError(f"{place}: the score {str(label)[:40]!r} is no verdict such as 'A>B'")
    return label


def _prompt(game: object) -> str | None:
    messages = game.get("prompt") if isinstance(game, Mapping) else None
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, Mapping) else None
    return content if isinstance(content, str) else None
