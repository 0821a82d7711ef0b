"""One sample under way, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tpo.errors import PolicyError
from tpo.inprocess.memory import first_line, is_out_of_memory
from tpo.policies.local.draw import Drawn, SamplingOptions, Settings, draw, penalized
from tpo.types import FinishReason


@dataclass(frozen=True, slots=True)
class Finished:
    """A sample's tokens, all that were drawn; an end token, if that is what ended it, is the last."""

    index: int
    tokens: tuple[int, ...]
    finish_reason: FinishReason


Deliver = Callable[[Finished | Exception], None]
"""Callback for a row's end; the worker's thread calls it."""


@dataclass(eq=False, slots=True)
class Row:
    """Sample *index* of a call: what it reads, how it draws, and the tokens it has so far.

    A row can be taken out of its batch at any token and go on in another: its state is its tokens and its
    generator, nothing of the batch.
    """

    index: int
    prompt: tuple[int, ...]
    temperature: float
    top_p: float
    max_tokens: int
    generator: Any
    deliver: Deliver
    tokens: list[int] = field(default_factory=list)
    over: bool = False
    """Finished, or no longer wanted."""
    on_token: Callable[[int, int], None] | None = None
    """Receives index and token, of the text alone, in the worker's thread."""
    _number: float | None = None

    @property
    def text(self) -> tuple[int, ...]:
        """Every token so far, the prompt's first."""
        return (*self.prompt, *self.tokens) if self.tokens else self.prompt

    @property
    def length(self) -> int:
        """Number of tokens."""
        return len(self.prompt) + len(self.tokens)

    @property
    def number(self) -> float:
        """The uniform number in [0, 1) that the next token is drawn by; the same until it is drawn."""
        if self._number is None:
            self._number = float(self.generator.random())
        return self._number

    def add(self, token: int, ends: frozenset[int]) -> None:
        """Take *token*, and tell if that ended the row."""
        self.tokens.append(token)
        self._number = None
        if self.on_token is not None and token not in ends:
            self.on_token(self.index, token)
        reason: FinishReason = "stop" if token in ends else "length"
        if token in ends or len(self.tokens) >= self.max_tokens:
            self.end(Finished(self.index, tuple(self.tokens), reason))

    def end(self, result: Finished | Exception) -> None:
        """Tell *result*; the row is over."""
        self.over = True
        self.deliver(result)

    def fail(self, error: Exception) -> None:
        """End the row with a PolicyError that names *error* and what to do."""
        if is_out_of_memory(error):
            words = (
                f"memory ran out on a single answer of {self.length} tokens; use a smaller model, fewer "
                "tokens (--max-tokens) or a larger device"
            )
        else:
            words = f"the model failed on a prompt of {len(self.prompt)} tokens ({first_line(error)})"
        self.end(PolicyError(words))


def draw_rows(rows: Sequence[Row], logits: Tensor, options: SamplingOptions, noise: float = 0.0) -> Drawn:
    """Draw the next token of each of *rows* from *logits* (rows, vocabulary) by its generator's number.

    Raises:
        FloatingPointError: a row's highest logit is no number.
    """
    if not bool(logits.amax(-1).isfinite().all()):  # -inf excludes a token, and is none of these
        raise FloatingPointError("its logits are no numbers: use --dtype bfloat16 or float32")
    values = [(row.temperature, row.top_p, row.number) for row in rows]
    kind = torch.float32 if logits.device.type == "mps" else torch.float64
    settings = Settings(*torch.tensor(values, dtype=kind).to(logits.device).unbind(-1))
    penalty = options.repetition_penalty
    if penalty != 1:
        logits = penalized(logits, [row.text for row in rows], penalty)
    return draw(logits, settings, noise * max(penalty, 1 / penalty), options)
