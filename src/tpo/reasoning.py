"""Separate a model's reasoning from its answer where both stand in one text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

_PAIRS = (
    (r"<think>", r"</think>"),
    (r"<thinking>", r"</thinking>"),
    (r"<thought>", r"</thought>"),
    (r"<seed:think>", r"</seed:think>"),
    (r"\[THINK\]", r"\[/THINK\]"),
    (r"◁think▷", r"◁/think▷"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (
        r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)<\|message\|>",
        r"<\|end\|>\s*<\|start\|>assistant\s*<\|channel\|>final\s*<\|message\|>",
    ),
)
"""Opening and closing marks: of most models, of Seed-OSS, Magistral, Kimi-VL, Command A and gpt-oss."""
_FINAL = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>final\s*<\|message\|>", re.IGNORECASE)
"""Mark of gpt-oss before an answer without reasoning."""
_CHANNELS = frozenset({"<|start|>", "<|channel|>", "<|message|>", "<|end|>"})
"""Tokens that marks of gpt-oss consist of."""
_QUOTED = "`'\"\\"
"""Characters beside a mark that is only mentioned."""
_WORDS = ("think", "thought", "<|channel|>")
"""Texts of which each mark contains one: searching for them is 100 times as fast as for the marks."""
_MARKS = "|".join(f"({begin})|({end})" for begin, end in _PAIRS)
_CLOSING = "|".join(end for _, end in _PAIRS)
_FIRST = "<[◁"
"""Characters that marks begin with."""
_LONGEST = 80
"""Characters of the longest mark, spaces included."""
_ANY = re.compile(rf"(?=[<\[◁])(?:{_MARKS})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer in a reply, and the reasoning before it.

    *ended* is False where the reasoning was never closed: what follows it is not an answer.
    """

    text: str
    reasoning: str | None = None
    ended: bool = True


def split_reasoning(text: str, *, opened: bool = False) -> Answer:
    """Return the answer in *text* apart from the reasoning in it; a text without reasoning stays as it is.

    Marks that are quoted, or stand in a code block of the answer, are text. A closing mark without an opening
    one ends reasoning that began before the reply, since many chat templates write the opening mark
    themselves. An opening mark that is never closed counts where it begins a line: all that follows it is
    reasoning. With *opened*, the template is known to have written the opening mark.
    """
    if not opened and (final := _FINAL.match(text)):
        text = text[final.end() :]
    marks = _marks(text)
    if not marks and not opened:
        return Answer(text)
    kept: list[str] = []
    thoughts: list[str] = []
    place, ended, inside = 0, True, -1 if opened else None
    for begin, end, kind, closes in marks:
        if begin < place:
            continue
        piece = text[place:begin]
        if inside is None:
            if _is_mention(text, begin, end) or _in_code_block("".join(kept) + piece):
                continue
            if closes:
                thoughts.append(piece)
            elif _is_closed(marks, end, kind) or not piece.rpartition("\n")[2].strip():
                kept.append(piece)
                inside = kind
            else:
                continue
        elif closes and inside in (kind, -1):
            thoughts.append(piece)
            inside = None
        elif inside == -1 and not piece.strip():
            inside = kind  # the reply repeats the template's mark
        else:
            continue
        place = end
    if inside is None:
        kept.append(text[place:])
    else:
        thoughts.append(text[place:])
        ended = False
    if not thoughts:
        return Answer(text)
    reasoning = "\n\n".join(filter(None, (thought.strip() for thought in thoughts)))
    return Answer("".join(kept).strip(), reasoning or None, ended)


def reasoning_tokens(tokens: Iterable[str]) -> frozenset[str]:
    """Return those of a model's special *tokens* that mark reasoning, or are a part of such a mark."""
    known = frozenset(tokens)
    marks = {token for token in known if _ANY.fullmatch(token)}
    return frozenset(marks | (known & _CHANNELS if "<|channel|>" in known else set()))


def opens_reasoning(prompt: str) -> bool:
    """Return whether *prompt*, as a chat template makes it, ends with an opening mark."""
    marks = _marks(prompt)
    return bool(marks) and not marks[-1][3] and not prompt[marks[-1][1] :].strip()


def _marks(text: str) -> list[tuple[int, int, int, bool]]:
    """Return begin, end, kind, and whether it closes, of each mark in *text*."""
    lower = text.lower()
    if not any(word in lower for word in _WORDS):
        return []
    return [
        (found.start(), found.end(), (found.lastindex - 1) // 2, found.lastindex % 2 == 0)
        for found in _ANY.finditer(text)
        if found.lastindex
    ]


def _is_mention(text: str, begin: int, end: int) -> bool:
    return text[begin - 1 : begin] in tuple(_QUOTED) or text[end : end + 1] in tuple(_QUOTED)


def _in_code_block(before: str) -> bool:
    return before.count("```") % 2 == 1


def _is_closed(marks: list[tuple[int, int, int, bool]], after: int, kind: int) -> bool:
    return any(begin >= after and closes and other == kind for begin, _, other, closes in marks)


class ReasoningSplitter:
    """Separates the reasoning at the beginning of a text that arrives in pieces.

    Only an opening mark with which the text begins counts, or, if *opened*, one that the template wrote.
    :func:`split_reasoning` also finds what only the whole text tells. The answer after reasoning has no space
    around it.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._held = ""
        self._state: Literal["start", "reasoning", "answer", "text"] = "reasoning" if opened else "start"
        self._closing = _CLOSING if opened else ""
        self._answered = False

    def take(self, piece: str) -> list[tuple[str, bool]]:
        """Return the texts that *piece* completes, each with whether it is reasoning."""
        self._held += piece
        found: list[tuple[str, bool]] = []
        if self._state == "start":
            self._begin()
        if self._state == "reasoning":
            found.append((self._reasoning(), True))
        if self._state == "answer":
            found.append((self._answer(), False))
        elif self._state == "text":
            found.append((self._held, False))
            self._held = ""
        return [each for each in found if each[0]]

    def end(self) -> list[tuple[str, bool]]:
        """Return what was held back, since a mark could have begun there."""
        held, self._held = self._held, ""
        return [(held, self._state == "reasoning")] if held and self._state != "answer" else []

    def _begin(self) -> None:
        start = self._held.lstrip()
        if found := _FINAL.match(start):
            self._state, self._held = "answer", start[found.end() :]
            return
        for opening, closing in _PAIRS:
            if found := re.match(opening, start, re.IGNORECASE):
                self._state, self._closing, self._held = "reasoning", closing, start[found.end() :]
                return
        if start and (start[0] not in _FIRST or len(start) >= _LONGEST):
            self._state = "text"

    def _reasoning(self) -> str:
        found = re.search(self._closing, self._held, re.IGNORECASE)
        if found is not None:
            thought, self._held = self._held[: found.start()], self._held[found.end() :].lstrip()
            self._state = "answer"
            return thought
        recent = range(max(0, len(self._held) - _LONGEST), len(self._held))
        cut = next((place for place in recent if self._held[place] in _FIRST), len(self._held))
        thought, self._held = self._held[:cut], self._held[cut:]
        return thought

    def _answer(self) -> str:
        held = self._held if self._answered else self._held.lstrip()
        text = held.rstrip()
        self._held, self._answered = held[len(text) :], self._answered or bool(text)
        return text
