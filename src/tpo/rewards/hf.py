"""A reward model in this process: any sequence classifier with one label, its raw logit being the score.

The conversation goes through the tokenizer's chat template, the response as the model's turn, the start token
exactly once. What does not fit the model's context is cut from the prompt's beginning, never from the
response's end, and the score says by how much.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tpo.errors import ConfigError, RewardError, RewardRefused
from tpo.inprocess.chat import ChatTokenizer
from tpo.inprocess.devices import Device
from tpo.inprocess.loading import EXACT_PARAMETERS, Checkpoint, load_checkpoint, require_torch
from tpo.inprocess.memory import first_line, is_out_of_memory
from tpo.inprocess.worker import Start, in_thread
from tpo.rewards.batching import MicroBatcher
from tpo.rewards.heads import one_label, raw_scores
from tpo.rewards.values import finite_score, place
from tpo.types import Messages, Scope, Score, assistant, user

BATCH_TOKENS = 16_384
CPU_BATCH_TOKENS = 1024
"""A processor loses by more: 33 responses a CPU second with 16,384 tokens, 122 with these."""
EXACT_DECIMALS = 4
"""Digits of a score that is made to be the same in every batch."""
NOISE = 1e-5
"""A bound on what float32 does to a score, relative to it where it is above 1; up to 4.3e-6 was seen."""


class HFReward:
    """Any one-label sequence classifier in Hugging Face format, from a folder or by its id on the hub.

    *device*, *dtype*: see :func:`tpo.inprocess.loading.load_checkpoint`; on a CPU a model of up to 30 million
    weights gives its scores rounded to 4 decimals, those that lie near the edge of a rounding computed again
    in float64, so that they do not depend on the batch at all. Otherwise they do: in float32 by less than
    1e-4, in bfloat16 by up to about 0.1. *max_batch_tokens* bounds a
    batch, padding included (None: 1,024 on a CPU, else 16,384). *max_length* reads less than the
    model's whole context. *trust_remote_code* runs code that comes with the model, such as a head that gives
    ``output.score``; without it a model that needs such is refused.

    Raises:
        MissingExtra: torch or transformers is not installed.
        RewardRefused: no such model, more than one label, no chat template.
    """

    def __init__(
        self,
        path_or_id: str | Path,
        *,
        device: Device | None = None,
        dtype: str | None = None,
        max_batch_tokens: int | None = None,
        max_length: int | None = None,
        trust_remote_code: bool = False,
        start: Start = in_thread,
    ) -> None:
        if max_length is not None and max_length < 1:
            raise ConfigError(f"max_length is {max_length}; it must be at least 1")
        if max_length is not None and max_batch_tokens and max_batch_tokens < max_length:
            raise ConfigError(
                f"max_batch_tokens is {max_batch_tokens}, less than one sequence of max_length {max_length}: "
                "raise the one or lower the other"
            )
        checkpoint = load_checkpoint(
            path_or_id,
            "classifier",
            RewardRefused,
            device=device,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
        )
        self.name = checkpoint.name
        if not checkpoint.own_code:
            one_label(checkpoint.model, self.name)
        self.context = min(checkpoint.context, max_length or checkpoint.context)
        self._chat = ChatTokenizer(checkpoint.tokenizer, self.name, RewardRefused)
        self._scorer = _Scorer(checkpoint, exact=_small(checkpoint, dtype))
        if checkpoint.own_code:
            self._try_head()
        fitting = CPU_BATCH_TOKENS if checkpoint.device.type == "cpu" else BATCH_TOKENS
        budget = fitting if max_batch_tokens is None else max_batch_tokens
        self._batcher = MicroBatcher(self._scorer.scores, length=len, budget=budget, start=start)

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """The raw logit of *response* as the answer to *messages*; ``tokens`` is what was read for it.

        Raises:
            RewardError: the template refuses the conversation, or the model fails on it or gives no number.
        """
        ids, cut = self._read(messages, response, scope)
        try:
            value = await self._batcher.submit(ids)
        except RewardError:
            raise
        except Exception as error:
            raise RewardError(f"{place(scope)}: {_reason(self.name, len(ids), error)}") from error
        return finite_score(Score(value, len(ids), truncated_tokens=cut), self.name, scope)

    async def score_ids(self, ids: Sequence[int]) -> float:
        """The raw logit of *ids* as they are: for finding out how another reader came to its score."""
        return await self._batcher.submit(tuple(ids))

    @property
    def chat(self) -> ChatTokenizer:
        """The tokenizer and the template that conversations go through."""
        return self._chat

    async def aclose(self) -> None:
        """Score nothing more, and wait for what is under way."""
        await self._batcher.aclose()

    def _try_head(self) -> None:
        """Score one conversation, since only that tells what a head of its own gives."""
        try:
            self._scorer.scores([self._chat.conversation_ids((user("Hello"), assistant("Hi")))])
        except RewardRefused:
            raise
        except Exception as error:
            raise RewardRefused(
                f"{self.name}: the model's own code failed on a first conversation ({first_line(error)})"
            ) from error

    def _read(self, messages: Messages, response: str, scope: Scope) -> tuple[tuple[int, ...], int]:
        """The tokens to read, and how many were cut."""
        try:
            ids = self._chat.conversation_ids((*messages, assistant(response)))
        except Exception as error:
            raise RewardError(f"{place(scope)}: {self.name} cannot read it ({first_line(error)})") from error
        cut = max(0, len(ids) - self.context)
        return self._chat.cut_start(ids, cut), cut


class _Scorer:
    """A classifier that reads many conversations at once, padded on the right.

    *exact*: give scores that no batch can change, with the help of the same model in double precision.
    """

    def __init__(self, checkpoint: Checkpoint, *, exact: bool) -> None:
        self._torch, _ = require_torch("an in-process reward model")
        self._name = checkpoint.name
        self._model = checkpoint.model
        self._config = checkpoint.config
        self._own_pad: int | None = checkpoint.config.pad_token_id
        self._arbiter = copy.deepcopy(checkpoint.model).double() if exact else None

    def scores(self, batch: Sequence[Sequence[int]]) -> list[float]:
        """One raw logit a conversation, as it would be alone."""
        if self._arbiter is None:
            return self._read(self._model, batch)
        if self._torch.get_num_threads() != 1:  # a small model's products gain nothing by a second core
            self._torch.set_num_threads(1)
        values = self._read(self._model, batch)
        doubtful = [at for at, value in enumerate(values) if _near_edge(value)]
        if doubtful:
            settled = self._read(self._arbiter, [batch[at] for at in doubtful])
            for at, value in zip(doubtful, settled, strict=True):
                values[at] = value
        return [round(value, EXACT_DECIMALS) for value in values]

    def _read(self, model: Any, batch: Sequence[Sequence[int]]) -> list[float]:
        torch = self._torch
        pad = model.config.pad_token_id = self._pad(batch)
        longest = max(map(len, batch))
        ids = torch.full((len(batch), longest), pad)
        mask = torch.zeros(len(batch), longest, dtype=torch.long)
        for at, one in enumerate(batch):
            ids[at, : len(one)] = torch.tensor(one)
            mask[at, : len(one)] = 1
        with torch.inference_mode():
            output = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device))
        values: list[float] = raw_scores(output, len(batch), self._name).double().tolist()
        return values

    def _pad(self, batch: Sequence[Sequence[int]]) -> int:
        """What stands where nothing is read.

        A classifier scores at its last token that is not the padding token, so a model that names one keeps
        it: it was trained that way. Without one it scores at the last token, so any id serves that none of
        the batch ends with.
        """
        if self._own_pad is not None:
            return self._own_pad
        last = {one[-1] for one in batch}
        # Some heads of their own score before the first padding token: best is one that stands nowhere.
        there = {token for one in batch for token in one}
        absent = (token for token in range(self._config.vocab_size) if token not in there)
        return next(absent, next(token for token in range(len(last) + 1) if token not in last))


def _near_edge(value: float) -> bool:
    """Whether noise could round *value* otherwise, or it is no number."""
    scaled = value * 10**EXACT_DECIMALS
    noise = NOISE * max(1.0, abs(value)) * 10**EXACT_DECIMALS
    return not abs(scaled % 1 - 0.5) > noise


def _small(checkpoint: Checkpoint, dtype: str | None) -> bool:
    """Whether double precision is at hand: the model is small, on a CPU, and nothing else was asked for."""
    torch, _ = require_torch("an in-process reward model")
    small = checkpoint.parameters <= EXACT_PARAMETERS and checkpoint.device.type == "cpu"
    return small and not checkpoint.spread and dtype is None and checkpoint.dtype == torch.float32


def _reason(name: str, tokens: int, error: Exception) -> str:
    if is_out_of_memory(error):
        return f"memory ran out on one conversation of {tokens} tokens in {name}; use a smaller max_length"
    return f"{name} failed on a conversation of {tokens} tokens ({first_line(error)})"


def _place(scope: Scope) -> str:
    response = "" if scope.index is None else f", response {scope.step}.{scope.index}"
    return f"query {scope.query!r}{response}"
