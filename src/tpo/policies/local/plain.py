"""Decoding by transformers' own ``generate``: right for every model that it supports, and slower."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from tpo.policies.local.draw import PLAIN, SamplingOptions
from tpo.policies.local.row import Row, draw_rows


class PlainEngine:
    """Decodes rows on *model* by ``generate`` until each has drawn one of *ends* or its most tokens.

    Rows are decoded one at a time, in the order in which they came, so nothing shares a batch with them. With
    *batched* the rows that go on from one text are decoded together, without padding. Tokens are drawn as in
    :class:`tpo.policies.local.engine.Engine`.
    """

    settled = 0
    """Draws that were made again: none, since no batch changes one."""

    def __init__(
        self, model: Any, ends: frozenset[int], *, options: SamplingOptions = PLAIN, batched: bool = False
    ) -> None:
        self._model = model
        self._ends = ends
        self._options = options
        self._batched = batched
        self._lock = threading.Lock()
        self._waiting: deque[Row] = deque()

    def add(self, rows: Sequence[Row]) -> None:
        """Let *rows* wait for their turn."""
        with self._lock:
            self._waiting.extend(rows)

    def step(self) -> bool:
        """Decode the row that waits longest to its end; False if none waits."""
        rows = self._next()
        if rows:
            self._try(rows)
        return bool(rows)

    def _next(self) -> list[Row]:
        with self._lock:
            live = [row for row in self._waiting if not row.over]
            rows = [row for row in live if row.text == live[0].text] if self._batched else live[:1]
            taken = set(rows)
            self._waiting = deque(row for row in live if row not in taken)
            return rows

    def _try(self, rows: list[Row]) -> None:
        """Decode *rows*; where that fails, decode each alone, and fail those that cannot be decoded alone."""
        try:
            self._generate(rows)
        except Exception as error:  # noqa: BLE001 - whatever a model raises is that row's failure
            left = [row for row in rows if not row.over]
            if len(rows) == 1:
                for row in left:
                    row.fail(error)
                return
            for row in left:
                self._try([row])

    @torch.inference_mode()
    def _generate(self, rows: list[Row]) -> None:
        ids = torch.tensor([row.text for row in rows], device=self._model.device)
        self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=max(row.max_tokens - len(row.tokens) for row in rows),
                use_cache=True,
            ),
            logits_processor=[_Draw(rows, self._options)],
            stopping_criteria=[_Take(rows, self._ends)],
        )


class _Draw(LogitsProcessor):  # type: ignore[misc] # transformers publishes no types
    """Leave only the token that each row draws, so that the greedy choice is that token."""

    def __init__(self, rows: list[Row], options: SamplingOptions) -> None:
        self._rows = rows
        self._options = options

    def __call__(self, _ids: Tensor, scores: Tensor) -> Tensor:
        tokens = draw_rows(self._rows, scores, self._options).tokens
        return torch.full_like(scores, -torch.inf).scatter_(-1, tokens[:, None], 0.0)


class _Take(StoppingCriteria):  # type: ignore[misc] # transformers publishes no types
    """Give each row its new token, and stop those that it ends or that nobody wants any more."""

    def __init__(self, rows: list[Row], ends: frozenset[int]) -> None:
        self._rows = rows
        self._ends = ends

    def __call__(self, ids: Tensor, _scores: Any, **_: Any) -> Tensor:
        for row, token in zip(self._rows, ids[:, -1].tolist(), strict=True):
            if not row.over:
                row.add(token, self._ends)
        return torch.tensor([row.over for row in self._rows], device=ids.device)
