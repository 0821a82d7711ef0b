"""A reward model in this process: any sequence classifier with one label, its raw logit being the score.

The conversation goes through the tokenizer's chat template, the response as the model's turn, the start token
exactly once. What does not fit the model's context is cut from the prompt's beginning, never from the
response's end, and the score says by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tpo.errors import ConfigError, RewardError, RewardRefused
from tpo.inprocess.batch_selection import first_batch, next_batch
from tpo.inprocess.chat import ChatTokenizer
from tpo.inprocess.devices import Device
from tpo.inprocess.loading import load_checkpoint, require_torch
from tpo.inprocess.memory import first_line, is_out_of_memory
from tpo.inprocess.worker import Start, in_thread
from tpo.rewards.batching import MicroBatcher
from tpo.rewards.heads import one_label
from tpo.rewards.scorer import Scorer
from tpo.rewards.values import finite_score, place
from tpo.types import Messages, Scope, Score, assistant, user

BATCH_TOKENS = 16_384
CPU_BATCH_TOKENS = 1024
"""A processor loses by more, which leave its caches."""


class HFReward:
    """Any one-label sequence classifier in Hugging Face format, from a folder or by its id on the hub.

    *device*, *dtype*: see ``tpo.inprocess.loading.load_checkpoint``; on a CPU a model of up to 30 million
    weights gives its scores rounded to 4 decimals and the same in every batch (see
    ``tpo.rewards.scorer.Scorer``). Otherwise they depend on it: in float32 by less than
    1e-4, in bfloat16 by up to about 0.1. *max_batch_tokens* bounds a batch, padding included where there is
    any (None: 1,024 on a CPU, else 16,384). *max_length* reads less than the
    model's whole context. *trust_remote_code* runs code that comes with the model, such as a head that gives
    ``output.score``; without it a model that needs such is refused.

    Raises:
        MissingExtra: torch or transformers is not installed.
        RewardRefused: no such model, more than one label, no chat template, or the model fails.
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
        torch, _ = require_torch("an in-process reward model")
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
        needs_end = bool(checkpoint.model.config.is_encoder_decoder)
        self._chat = ChatTokenizer(checkpoint.tokenizer, self.name, RewardRefused, needs_end=needs_end)
        plain = dtype is None and checkpoint.dtype == torch.float32
        self._scorer = Scorer(checkpoint, exact=plain and checkpoint.is_small, trial=self._trial())
        fitting = CPU_BATCH_TOKENS if checkpoint.device.type == "cpu" else BATCH_TOKENS
        budget = fitting if max_batch_tokens is None else max_batch_tokens
        self._batcher = MicroBatcher(
            self._scorer.scores,
            length=len,
            budget=budget,
            choose=first_batch if self._scorer.packed else next_batch,
            workers=self._scorer.workers,
            start=start,
        )

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

    def _trial(self) -> list[tuple[int, ...]]:
        """Conversations to try the model on; none where its template refuses them."""
        hello, note = user("Hello"), user("Write a short thank-you note to Maria for the flowers.")
        answers = [
            (hello, "Hi"),
            (hello, "Hi! How can I help?"),
            (note, ""),
            (note, "Dear Maria, thank you! " * 4),
        ]
        try:
            read = [self._chat.conversation_ids((asked, assistant(text))) for asked, text in answers]
        except Exception:  # noqa: BLE001 - a template may refuse anything
            return []
        return [self._chat.cut_start(ids, max(0, len(ids) - self.context)) for ids in read]

    def _read(self, messages: Messages, response: str, scope: Scope) -> tuple[tuple[int, ...], int]:
        """The tokens to read, and how many were cut."""
        try:
            ids = self._chat.conversation_ids((*messages, assistant(response)))
        except Exception as error:
            raise RewardError(f"{place(scope)}: {self.name} cannot read it ({first_line(error)})") from error
        cut = max(0, len(ids) - self.context)
        return self._chat.cut_start(ids, cut), cut


def _reason(name: str, tokens: int, error: Exception) -> str:
    if is_out_of_memory(error):
        return f"memory ran out on one conversation of {tokens} tokens in {name}; use a smaller max_length"
    return f"{name} failed on a conversation of {tokens} tokens ({first_line(error)})"
