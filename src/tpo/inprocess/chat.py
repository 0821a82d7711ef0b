"""A conversation as token ids, by the model's own chat template, with the start token exactly once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from tpo.errors import TpoError
from tpo.http.chat import without_system_role
from tpo.http.refusals import says_no_system_role
from tpo.inprocess.memory import first_line
from tpo.reasoning import Answer, opens_reasoning, reasoning_tokens, split_reasoning
from tpo.types import Message, Messages, assistant, user

_BODY = "the body of a turn"

TEMPLATE_DATE = datetime(2024, 7, 26)  # noqa: DTZ001 - the date alone is shown
"""Date that chat templates show as today's, so that a run reads the same prompts every day.

It is the date that the template of Llama 3.2 shows where it finds no clock.
"""
_DATE_TEXTS = {
    f"%-{letter}": TEMPLATE_DATE.strftime(f"%{letter}").lstrip("0") or "0" for letter in "dHIjmMSy"
}
_DATE_TEXTS |= {
    f"%{letter}": TEMPLATE_DATE.strftime(f"%{letter}") for letter in "aAbBcdDeFHIjmMpSTuUVwWxXyYzZ"
}
_FIXED_DATE = f"""\
{{% macro strftime_now(format) %}}{{% set shown = namespace(text=format) %}}\
{{% for directive, text in {_DATE_TEXTS}.items() %}}\
{{% set shown.text = shown.text.replace(directive, text) %}}{{% endfor %}}{{{{ shown.text }}}}{{% endmacro %}}
"""
"""Stands before a template in place of transformers' function: no function can be passed to a template."""


class ChatTokenizer:
    """A tokenizer and its chat template, safe to use from several threads.

    *template_kwargs* are values that the template reads, as ``{"enable_thinking": False}``. *needs_end*: a
    conversation ends with the end token, which classifiers such as T5's score. Where the template refuses a
    system turn, its text goes before that of the first user turn. A template that shows the date is given
    ``TEMPLATE_DATE``.

    Raises:
        TpoError: *refused*, when there is no template.
    """

    def __init__(
        self,
        tokenizer: Any,
        name: str,
        refused: type[TpoError],
        template_kwargs: Mapping[str, Any] | None = None,
        *,
        needs_end: bool = False,
    ) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise refused(
                f"{name}: its tokenizer has no chat template; take the instruct version of the model"
            )
        self._tokenizer = tokenizer
        self._name, self._refused = name, refused
        self._template_kwargs = dict(template_kwargs or {})
        self._lock = threading.Lock()  # a fast tokenizer may not be used by two threads at once
        self._adds_start = self.start is not None and self._ids("a", special=True)[:1] == [self.start]
        self._end = tokenizer.eos_token_id if needs_end else None

    @property
    def start(self) -> int | None:
        """The id of the start token, if the tokenizer has one: BERT's is its token for classification."""
        for name in ("bos", "cls"):
            if (start := getattr(self._tokenizer, f"{name}_token_id", None)) is not None:
                return int(start)
        return None

    def prompt_ids(self, messages: Messages) -> list[int]:
        """*messages* and the opening of the model's turn.

        The template writes the start token itself, so none is added, as chat servers do it too.
        """
        return self._ids(self._render(messages, opening=True), special=False)

    def conversation_ids(self, messages: Messages) -> list[int]:
        """*messages* whole, as reward models read them.

        Their convention: the template's text without its start token, then tokenized with special tokens. A
        tokenizer that adds no start token keeps the template's.
        """
        text = self._render(messages, opening=False)
        if self._adds_start:
            text = text.removeprefix(self._tokenizer.convert_ids_to_tokens(self.start))
        ids = self._ids(text, special=self._adds_start)
        return ids if self._end is None or ids[-1:] == [self._end] else [*ids, self._end]

    def cut_start(self, ids: Sequence[int], count: int) -> tuple[int, ...]:
        """*ids* without *count* of them, from the beginning; a start token stays."""
        begin = int(ids[0] == self.start)
        return (*ids[:begin], *ids[begin + count :])

    def text(self, ids: Sequence[int]) -> str:
        """The text of *ids*, special tokens left out that do not mark reasoning."""
        shown = [token for token in ids if token not in self._hidden]
        with self._lock:
            return str(self._tokenizer.decode(shown, clean_up_tokenization_spaces=False))

    @cached_property
    def _hidden(self) -> frozenset[int]:
        """The special tokens without those that mark reasoning."""
        special = {
            token: added.content
            for token, added in self._tokenizer.added_tokens_decoder.items()
            if added.special
        }
        marks = reasoning_tokens(special.values())
        ids = {*special, *self._tokenizer.all_special_ids}
        return frozenset(token for token in ids if special.get(token) not in marks)

    def special_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the special tokens among *ids*, as the tokenizer spells them."""
        added = self._tokenizer.added_tokens_decoder
        return [added[token].content for token in ids if token in added and added[token].special]

    def answer(self, ids: Sequence[int]) -> Answer:
        """Return the text of *ids* apart from the reasoning in it, which the template may have opened."""
        return split_reasoning(self.text(ids), opened=self.template_opens_reasoning)

    @cached_property
    def template_opens_reasoning(self) -> bool:
        """Return whether the template itself writes the opening mark of the model's reasoning."""
        return opens_reasoning(self._render((user("?"),), opening=True))

    def turn_ends(self) -> frozenset[int]:
        """Return the special token that the template closes the model's turn with, and the end token.

        Raises:
            TpoError: the template cannot be used.
        """
        ends = {self._tokenizer.eos_token_id} - {None}
        try:
            whole = self._render((user("?"), assistant(_BODY)), opening=False)
        except Exception as error:  # of Jinja: wrong syntax, an unsafe call, too deep
            raise self._refused(f"{self._name}: its chat template fails ({first_line(error)})") from error
        _, _, closing = whole.rpartition(_BODY)
        first = self._ids(closing.lstrip(), special=False)[:1]
        added = self._tokenizer.added_tokens_decoder
        return frozenset(ends | {token for token in first if token in added and added[token].special})

    def _render(self, messages: Messages, *, opening: bool) -> str:
        try:
            return self._apply(messages, opening=opening)
        except Exception as error:  # Jinja's, of the template's own words
            merged = without_system_role(messages)
            if merged is messages or not says_no_system_role(str(error)):
                raise
        return self._apply(merged, opening=opening)

    def _apply(self, messages: Messages, *, opening: bool) -> str:
        options = self._template_kwargs | {"tokenize": False, "add_generation_prompt": opening}
        with self._lock:
            return str(
                self._tokenizer.apply_chat_template(
                    [plain(message) for message in messages], **options | self._dated_template
                )
            )

    @cached_property
    def _dated_template(self) -> dict[str, str]:
        """The template as an option, if it shows the date."""
        chosen = (self._template_kwargs.get(name) for name in ("chat_template", "tools"))
        template = self._tokenizer.get_chat_template(*chosen)
        return {"chat_template": _FIXED_DATE + template} if "strftime_now" in template else {}

    def _ids(self, text: str, *, special: bool) -> list[int]:
        with self._lock:
            ids: list[int] = self._tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
        return ids


class Detokenizer:
    """Text of a growing list of tokens, piece by piece; half a character waits for its other half."""

    def __init__(self, chat: ChatTokenizer) -> None:
        self._chat = chat
        self._tokens: list[int] = []
        self._before = 0

    def add(self, token: int) -> str:
        """Return the text that *token* adds."""
        known, self._tokens = self._tokens, [*self._tokens, token]
        told, text = self._chat.text(known[: self._before]), self._chat.text(self._tokens)
        if len(text) <= len(told) or text.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        # A token's text depends on the one before it: a space, say.
        self._tokens = self._tokens[self._before :]
        self._before = len(self._tokens)
        return text[len(told) :]


def plain(message: Message) -> dict[str, Any]:
    """A turn with its text as one string, which every template takes.

    Raises:
        ValueError: a part of it is not text.
    """
    content = message["content"] or ""
    if isinstance(content, str):
        return {**message, "content": content}
    strange = {str(part.get("type")) for part in content} - {"text"}
    if strange:
        raise ValueError(f"a turn holds {', '.join(sorted(strange))}, and this model reads text only")
    return {**message, "content": "\n".join(str(part["text"]) for part in content)}
