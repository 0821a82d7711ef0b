"""Files in Arena-Hard's formats: answers for the authors' scripts, and their judgments.

data/BENCH/model_answer/MODEL.jsonl             one answer per line
data/BENCH/model_judgment/JUDGE/MODEL.jsonl     both games of one query per line
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
from tpo.experiments.bench.columns import as_record, column
from tpo.experiments.bench.graders.base import Answer
from tpo.experiments.bench.pairwise.verdict import LABELS, Games
from tpo.types import plain_text

_INVALID_CHARACTERS = re.compile(r"[^A-Za-z0-9._-]+")


def model_name(answer: Answer) -> str:
    """Return the model name of *answer* in these files, with its seed."""
    name = _INVALID_CHARACTERS.sub("-", answer.generator).strip("-.") or "model"
    seed = f"seed-{answer.seed}"
    return name if name.endswith(seed) else f"{name}-{seed}"


@dataclass(frozen=True, slots=True)
class ArenaFolder:
    """The folder ``data/BENCH`` inside *root*; *clock* gives the timestamps of answers."""

    root: Path
    bench: str
    clock: Callable[[], float] = time.time

    def answers(self, model: str) -> Path:
        """Return the file of *model*'s answers."""
        return self.root / "data" / self.bench / "model_answer" / f"{model}.jsonl"

    def judgments(self, judge: str, model: str) -> Path:
        """Return the file of *judge*'s verdicts on *model*."""
        name = _INVALID_CHARACTERS.sub("-", judge).strip("-.") or "judge"
        return self.root / "data" / self.bench / "model_judgment" / name / f"{model}.jsonl"

    def write_answers(self, answers: Sequence[Answer]) -> tuple[Path, ...]:
        """Write *answers* and keep existing ones; files are replaced atomically."""
        models: dict[str, list[Answer]] = {}
        for answer in answers:
            models.setdefault(model_name(answer), []).append(answer)
        return tuple(self._write_model(model, mine) for model, mine in models.items())

    def write_judgments(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write both games of each query, one file per judge and model, replaced atomically."""
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


def parse_answer(row: Row) -> tuple[str, str]:
    """Return the query's id and the answer's text of a row of ``model_answer``.

    Raises:
        DataError: the row has another format.
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
    """Both games of one query from a file; *games* is None if a verdict is missing."""

    uid: str
    judge: str
    games: Games | None
    prompts: tuple[str, ...] = ()

    def judges(self, answer: str) -> bool:
        """Return whether *answer* is the judged one, if the file contains the prompts; else True."""
        return all(answer in prompt for prompt in self.prompts)


def read_judgments(path: Path) -> dict[str, Judgment]:
    """Return the last judgment of each query in a file, by query id.

    Raises:
        DataError: there is no such file, or a row has another format.
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
    """Return a game's label; None if the judge gave none, which the authors' scripts skip."""
    label = game.get("score") if isinstance(game, Mapping) else None
    if label is not None and label not in LABELS:
        raise DataError(f"{place}: the score {str(label)[:40]!r} is not a verdict such as 'A>B'")
    return label


def _prompt(game: object) -> str | None:
    messages = game.get("prompt") if isinstance(game, Mapping) else None
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, Mapping) else None
    return content if isinstance(content, str) else None
