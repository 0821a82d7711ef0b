"""Code blocks and inline code of the README and the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "training" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
LANGUAGES = {"bash", "python", "toml", "json", "text", "yaml"}
_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A code block: its page and line, its language, and its text."""

    page: str
    line: int
    info: str
    text: str

    @property
    def language(self) -> str:
        """Return the first word of the info string."""
        return self.info.split(" ")[0]

    @property
    def is_former(self) -> bool:
        """Whether it shows code of an earlier version, which no longer runs."""
        return 'title="Before"' in self.info

    @property
    def place(self) -> str:
        """Return ``page:line``."""
        return f"{self.page}:{self.line}"


def blocks(language: str | None = None) -> list[Block]:
    """Return the code blocks of every page, of one language or of all."""
    found = [block for page in PAGES for block in _of(page)]
    return [block for block in found if language in (None, block.language)]


def inline_code() -> list[Block]:
    """Return the inline code of every page."""
    return [
        Block(_name(page), number, "inline", code.replace(r"\|", "|"))
        for page in PAGES
        for number, line in enumerate(_without_blocks(page).splitlines(), 1)
        for code in _INLINE.findall(line)
    ]


def _of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(_name(page), text.count("\n", 0, each.start()) + 1, each[2].strip(), dedent(each[3]))
        for each in _FENCE.finditer(text)
    ]


def _without_blocks(page: Path) -> str:
    return _FENCE.sub(lambda each: "\n" * each[0].count("\n"), page.read_text("utf-8"))


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))
