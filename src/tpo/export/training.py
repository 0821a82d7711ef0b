"""Common parts of the training sets: usable queries, names of the models, writing of the file.

Every message is a role and a text and nothing else, so that all rows are of one type, which Parquet and
``datasets`` insist on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.errors import ConfigError, StoreError
from tpo.export.atomic_writer import Exported
from tpo.export.tables import Row, writable, write_columns, write_lines
from tpo.store import read_run
from tpo.types import Message, Trajectory, plain_text

log = logging.getLogger(__name__)

SUFFIXES = (".jsonl", ".parquet")
PLAIN_KEYS = frozenset({"role", "content", "name"})


@dataclass(frozen=True, slots=True)
class Models:
    """Names of the policy and the reward; None where the run does not tell."""

    policy: str | None = None
    reward: str | None = None

    @classmethod
    def of_run(cls, run: Path) -> Models:
        """As the record of the run in the directory *run* (or of the trajectories' file in it) names them."""
        if not run.exists():
            return cls()  # reading its trajectories says so
        directory = run if run.is_dir() else run.parent
        try:
            told = read_run(directory).fingerprint
        except StoreError as error:
            log.warning("policy and reward are left without their names: %s", error)
            return cls()
        return cls(_name(told.get("policy")), _name(told.get("reward")))


UNNAMED = Models()
"""Of a run that does not tell."""


def _name(value: Any) -> str | None:
    """A name as it is; an ensemble of rewards as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def turn(message: Message) -> dict[str, str]:
    """*message* as a role and a text."""
    return {"role": message["role"], "content": plain_text(message)}


def prompt_of(trajectory: Trajectory) -> list[dict[str, str]] | None:
    """The query's conversation; None where a turn holds more than text (an image, a call of a tool)."""
    messages = trajectory.query.messages
    return [turn(message) for message in messages] if all(map(_is_text, messages)) else None


def _is_text(message: Message) -> bool:
    content = message["content"]
    parts = content if isinstance(content, list) else []
    return set(message) <= PLAIN_KEYS and all(part.get("type") == "text" for part in parts)


def _check_suffix(path: Path) -> None:
    """Refuse a file that no training set is written to.

    Raises:
        ConfigError: the suffix of *path* is none of :data:`SUFFIXES`.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: a training set is written to a file that ends in {' or '.join(SUFFIXES)}")


def write_training_set(
    trajectories: Iterable[Trajectory],
    rows_of: Callable[[Trajectory, list[dict[str, str]]], Iterable[Row]],
    columns: Mapping[str, str],
    path: Path,
) -> Exported:
    """Write what *rows_of* makes of each finished query and its prompt, counting the queries left out.

    Raises:
        ConfigError: the suffix of *path* is none of :data:`SUFFIXES`.
        MissingExtra: it is ``.parquet``, and pyarrow is not installed.
        StoreError: *path* cannot be written.
    """
    _check_suffix(path)
    written = failed = not_text = nothing = 0

    def rows() -> Iterator[Row]:
        nonlocal written, failed, not_text, nothing
        for trajectory in trajectories:
            prompt = prompt_of(trajectory)
            if trajectory.status != "finished":
                failed += 1
            elif prompt is None:
                not_text += 1
            else:
                before = written
                for row in rows_of(trajectory, prompt):
                    written += 1
                    # JSON's own escape of half a surrogate pair is one that Arrow's reader refuses.
                    yield writable(row)
                nothing += written == before

    if path.suffix == ".parquet":
        write_columns(rows(), columns, path)
    else:
        write_lines(rows(), path)
    return Exported(written, failed, nothing=nothing, not_text=not_text)
