"""A causal chat model in this process, behind the Policy protocol."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpo.errors import ConfigError, PolicyError, PolicyRefused, PromptTooLong
from tpo.inprocess.chat import ChatTokenizer, Detokenizer
from tpo.inprocess.devices import Device
from tpo.inprocess.loading import load_checkpoint, require_torch
from tpo.inprocess.memory import first_line
from tpo.inprocess.worker import Start, Worker, in_thread, use_one_core
from tpo.policies.deltas import Deltas, with_deltas
from tpo.types import Completion, Delta, Messages, Sampling, Scope, Usage

if TYPE_CHECKING:
    from tpo.policies.local.row import Finished, Row


class HFPolicy:
    """Any causal chat model in Hugging Face format, from a folder or by its id on the hub.

    Calls from all queries meet in one engine with one thread (on a CPU, a small model has one for each core,
    since its products are too small to be shared between cores): what waits is sorted by length and decoded
    together, the samples of a call share the prefill of its prompt, and each is yielded as soon as it ends.

    Only a model that passes ``tpo.policies.local.selftest`` at load is decoded so. Any other is decoded by
    transformers' ``generate``, a row at a time, which a warning says; so are rows longer than a model's
    sliding window or LongRoPE's original context.

    *device*, *dtype*: see ``tpo.inprocess.loading.load_checkpoint``. *max_batch_tokens*: tokens in a
    batch, padding included; by default what the device has room for. *trust_remote_code* runs code that comes
    with the model. *top_k*, *min_p*, *repetition_penalty*: see
    ``tpo.policies.local.draw.SamplingOptions``; those that the model's ``generation_config.json``
    suggests are not used unless given here, which a warning says. *chat_template_kwargs* go to the chat
    template, as ``{"enable_thinking": False}``.

    Determinism: sample *i* draws from a generator of its own, seeded with ``sampling.seed + i``, one number a
    token. What shares a batch with it shifts its float32 probabilities by about 1e-6, which alone would turn
    a draw now and then. So in float32 any draw that lies that near to an edge (see
    ``tpo.policies.local.draw``) is made again, from logits computed for that row alone, for models of up
    to 30 million weights in float64: the text is then the same whatever the concurrency. Running in float64
    throughout would do the same at 1.6 times the cost. In larger models the noise may exceed the bound that
    was measured on small ones, and in half precision it always does: equality across batch shapes is **not**
    guaranteed there.

    Raises:
        MissingExtra: torch or transformers is not installed.
        PolicyRefused: no such model, it has no chat template, or it cannot be decoded.
        ConfigError: an option is outside its range.
    """

    def __init__(
        self,
        path_or_id: str | Path,
        *,
        device: Device | None = None,
        dtype: str | None = None,
        max_batch_tokens: int | None = None,
        trust_remote_code: bool = False,
        top_k: int = 0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        start: Start = in_thread,
    ) -> None:
        if max_batch_tokens is not None and max_batch_tokens < 1:
            raise ConfigError(f"max_batch_tokens is {max_batch_tokens}; it must be at least 1")
        require_torch("an in-process model")
        from tpo.policies.local.build import build_engines
        from tpo.policies.local.draw import SamplingOptions

        options = SamplingOptions(top_k, min_p, repetition_penalty)
        checkpoint = load_checkpoint(
            path_or_id,
            "causal",
            PolicyRefused,
            device=device,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
        )
        self.name = checkpoint.name
        self.context = checkpoint.context
        self._chat = ChatTokenizer(checkpoint.tokenizer, self.name, PolicyRefused, chat_template_kwargs)
        engines = build_engines(checkpoint, self._chat, options, max_batch_tokens)
        self._engines = [
            (one, Worker(_one_core(one.step) if checkpoint.is_small else one.step, start)) for one in engines
        ]
        self._closed = False

    def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield ``sampling.n`` completions of *messages*, each as soon as it is finished.

        Raises:
            PolicyError: the prompt does not fit, or its template refuses it, or the model fails on it.
        """
        return self._samples(messages, sampling, scope)

    def stream(
        self, messages: Messages, sampling: Sampling, scope: Scope
    ) -> AsyncIterator[Completion | Delta]:
        """Do the same, and yield the text of each token as it is drawn."""
        opened = self._chat.template_opens_reasoning
        return with_deltas(partial(self._samples, messages, sampling, scope), opened=opened)

    async def _samples(
        self, messages: Messages, sampling: Sampling, scope: Scope, deltas: Deltas | None = None
    ) -> AsyncIterator[Completion]:
        ended: asyncio.Queue[Finished | Exception | Callable[[], None]] = asyncio.Queue()
        deliver = _from_thread(ended)
        rows = self._rows(messages, sampling, scope, deliver)
        if deltas is not None:
            self._announce_tokens(rows, deliver, deltas)
        # A query stays with one engine, which keeps what it has read of it.
        engine, worker = self._engines[zlib.crc32(scope.query.encode()) % len(self._engines)]
        engine.add(rows)
        worker.wake()
        prompt_usage = Usage(calls=1, prompt_tokens=len(rows[0].prompt))
        try:
            for _ in rows:
                yield self._completion(await _arrival(ended), prompt_usage)
                prompt_usage = Usage()
        finally:
            for row in rows:
                row.over = True

    async def aclose(self) -> None:
        """Answer no more calls, and wait for those that are under way."""
        self._closed = True
        for _, worker in self._engines:
            await asyncio.to_thread(worker.join)

    @property
    def chat(self) -> ChatTokenizer:
        """The tokenizer and the template that conversations go through."""
        return self._chat

    @property
    def batched(self) -> bool:
        """Return whether the batched engine decodes the model; otherwise transformers' ``generate`` does."""
        from tpo.policies.local.engine import Engine

        return all(isinstance(engine, Engine) for engine, _ in self._engines)

    @property
    def settled(self) -> int:
        """Draws so far that float32 left in doubt, and that were made again."""
        return sum(engine.settled for engine, _ in self._engines)

    def _announce_tokens(self, rows: list[Row], deliver: Callable[[Any], None], deltas: Deltas) -> None:
        """Have the text of each token of *rows* added to *deltas*, in the loop that waits for the rows."""
        for row in rows:
            detokenizer = Detokenizer(self._chat)

            def add(index: int, token: int, detokenizer: Detokenizer = detokenizer) -> None:
                deliver(lambda: deltas.add(index, detokenizer.add(token)))

            row.on_token = add

    def _rows(self, messages: Messages, sampling: Sampling, scope: Scope, deliver: Any) -> list[Row]:
        import numpy as np

        from tpo.policies.local.row import Row

        if self._closed:
            raise PolicyError(f"{_place(scope)}: the policy {self.name} is closed")
        prompt = self._prompt(messages, scope)
        room = min(sampling.max_tokens, self.context - len(prompt))
        return [
            Row(
                index,
                prompt,
                sampling.temperature,
                sampling.top_p,
                room,
                np.random.default_rng(sampling.seed + index),
                deliver,
            )
            for index in range(sampling.n)
        ]

    def _prompt(self, messages: Messages, scope: Scope) -> tuple[int, ...]:
        try:
            prompt = tuple(self._chat.prompt_ids(messages))
        except Exception as error:
            raise PolicyError(f"{_place(scope)}: {self.name} cannot read it ({first_line(error)})") from error
        if len(prompt) >= self.context:
            raise PromptTooLong(
                f"{_place(scope)}: the prompt has {len(prompt)} tokens and {self.name} reads {self.context}, "
                "the answer included; shorten the query or take a model with a longer context"
            )
        return prompt

    def _completion(self, finished: Finished, usage: Usage) -> Completion:
        answer = self._chat.answer(finished.tokens)
        return Completion(
            finished.index,
            answer.text,
            finished.finish_reason,
            usage + Usage(completion_tokens=len(finished.tokens)),
            answer.reasoning,
        )


def _one_core(step: Callable[[], bool]) -> Callable[[], bool]:
    """*step* without threads of its own: those of several engines would wait for each other."""

    def alone() -> bool:
        use_one_core()
        return step()

    return alone


def _from_thread(ended: asyncio.Queue[Any]) -> Callable[[Any], None]:
    """Put what the worker's thread tells into *ended*, which belongs to the running loop."""
    loop = asyncio.get_running_loop()

    def deliver(result: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the caller's loop is closed: nobody waits any more
            loop.call_soon_threadsafe(ended.put_nowait, result)

    return deliver


async def _arrival(ended: asyncio.Queue[Finished | Exception | Callable[[], None]]) -> Finished:
    while callable(result := await ended.get()):
        result()
    if isinstance(result, Exception):
        raise result
    return result


def _place(scope: Scope) -> str:
    return f"query {scope.query!r}, {scope.phase} of step {scope.step}"
