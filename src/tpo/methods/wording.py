"""Texts of a method: templates in files, any of which a user may replace by a file of the same name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from tpo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Wording:
    """Named templates in the form of :class:`string.Template`, with ``$query``, ``$chosen`` and so on."""

    texts: Mapping[str, str]

    def fill(self, name: str, **values: str) -> str:
        """The text *name* with *values* put in; nothing inside a value is expanded again."""
        return Template(self.texts[name]).substitute(values)

    @property
    def digest(self) -> str:
        """A short hash that changes when any text does."""
        joined = "\0".join(f"{name}\0{text}" for name, text in sorted(self.texts.items()))
        return hashlib.sha256(joined.encode()).hexdigest()[:16]


def load_wording(layout: str, overrides: Path | None = None) -> Wording:
    """The shipped texts of *layout*, those that stand in the folder *overrides* taken from there.

    Raises:
        ConfigError: a file there has no counterpart, cannot be read, or names an unknown value.
    """
    folder = resources.files("tpo.methods") / "prompts" / layout
    texts = {Path(f.name).stem: f.read_text("utf-8").rstrip("\n") for f in folder.iterdir()}
    for path in _override_files(overrides, texts):
        texts[path.stem] = _read(path, known=Template(texts[path.stem]))
    return Wording(texts)


def numbered(tag: str, texts: Sequence[str]) -> str:
    """Return *texts*, each between tags with its number from 1: ``<tag_1>`` and ``</tag_1>``."""
    return "\n\n".join(f"<{tag}_{k}>\n{text}\n</{tag}_{k}>" for k, text in enumerate(texts, 1))


def _override_files(overrides: Path | None, texts: Mapping[str, str]) -> list[Path]:
    if overrides is None:
        return []
    if not overrides.is_dir():
        raise ConfigError(f"--prompts {overrides}: no such folder")
    files = sorted(overrides.glob("*.txt"))
    unknown = [path.name for path in files if path.stem not in texts]
    if unknown or not files:
        found = ", ".join(unknown) or "no .txt file"
        wanted = ", ".join(f"{name}.txt" for name in sorted(texts))
        raise ConfigError(f"--prompts {overrides}: found {found}; this method reads {wanted}")
    return files


def _read(path: Path, known: Template) -> str:
    try:
        text = path.read_text("utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--prompts: cannot read {path}: {error}") from error
    template = Template(text)
    common = set() if path.stem.startswith("sample") else {"query", "chosen"}
    allowed = set(known.get_identifiers()) | common
    if not template.is_valid() or not set(template.get_identifiers()) <= allowed:
        names = ", ".join(f"${name}" for name in sorted(allowed))
        raise ConfigError(f"{path}: may use {names} only; write $$ for a dollar sign")
    return text
