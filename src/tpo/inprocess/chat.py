"""A conversation as token ids, by the model's own chat template, with the start token exactly once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from tpo.errors import TpoError
from tpo.types import Message, Messages, assistant, user

_BODY = "the body of a turn"


class ChatTokenizer:
    """A tokenizer and its chat template, safe to use from several threads.

    Raises:
        TpoError: *refused*, when there is no template.
    """

    def __init__(self, tokenizer: Any, name: str, refused: type[TpoError]) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise refused(
                f"{name}: its tokenizer has no chat template; take the instruct version of the model"
            )
        self._tokenizer = tokenizer
        self._lock = threading.Lock()  # a fast tokenizer may not be used by two threads at once
        start = tokenizer.bos_token_id
        self._adds_start = start is not None and self._ids("a", special=True)[:1] == [start]

    @property
    def start(self) -> int | None:
        """The id of the start token, if the tokenizer has one."""
        start: int | None = self._tokenizer.bos_token_id
        return start

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
            text = text.removeprefix(self._tokenizer.bos_token)
        return self._ids(text, special=self._adds_start)

    def cut_start(self, ids: Sequence[int], count: int) -> tuple[int, ...]:
        """*ids* without *count* of them, from the beginning; a start token stays."""
        begin = int(ids[0] == self._tokenizer.bos_token_id)
        return (*ids[:begin], *ids[begin + count :])

    def text(self, ids: Sequence[int]) -> str:
        """The text of *ids*, special tokens left out."""
        with self._lock:
            return str(
                self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            )

    def turn_ends(self) -> frozenset[int]:
        """The special token that the template closes the model's turn with, and the tokenizer's end token."""
        ends = {self._tokenizer.eos_token_id} - {None}
        _, _, closing = self._render((user("?"), assistant(_BODY)), opening=False).rpartition(_BODY)
        first = self._ids(closing.lstrip(), special=False)[:1]
        added = self._tokenizer.added_tokens_decoder
        return frozenset(ends | {token for token in first if token in added and added[token].special})

    def _render(self, messages: Messages, *, opening: bool) -> str:
        with self._lock:
            return str(
                self._tokenizer.apply_chat_template(
                    [plain(message) for message in messages], tokenize=False, add_generation_prompt=opening
                )
            )

    def _ids(self, text: str, *, special: bool) -> list[int]:
        with self._lock:
            ids: list[int] = self._tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
        return ids


def plain(message: Message) -> dict[str, Any]:
    """A turn with its text as one string, which every template takes.

    Raises:
        ValueError: a part of it is not text.
    """
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": content}
    strange = {str(part.get("type")) for part in content} - {"text"}
    if strange:
        raise ValueError(f"a turn holds {', '.join(sorted(strange))}, and this model reads text only")
    return {**message, "content": "\n".join(str(part["text"]) for part in content)}
