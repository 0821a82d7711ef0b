"""A causal chat model in this process, behind the Policy protocol."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tpo.errors import ConfigError, PolicyError, PolicyRefused
from tpo.inprocess.chat import ChatTokenizer
from tpo.inprocess.devices import Device
from tpo.inprocess.loading import EXACT_PARAMETERS, Checkpoint, load_checkpoint, require_torch
from tpo.inprocess.memory import first_line
from tpo.inprocess.worker import Start, Worker, in_thread, usable_cores
from tpo.policies.local.row import Finished, Row
from tpo.types import Completion, Messages, Sampling, Scope, Usage

NOISE = 4e-5
"""A bound on what float32 does to a logit relative to the others, about four times what was seen.

benchmarks/float32_noise.py measures it: cumulative probabilities moved by up to 7e-6 at temperature 0.7, and
a logit off by this much would move them by 2.9e-5.
"""

MOST_REPLICAS = 4
"""Engines of a small model: the interpreter's lock leaves more of them nothing to gain."""

CPU_BUDGET = 16_384
"""Slots of a batch on a CPU: more gain nothing, since the cores are busy, and cost memory."""


class HFPolicy:
    """Any causal chat model in Hugging Face format, from a folder or by its id on the hub.

    Calls from all queries meet in one engine with one thread (on a CPU, a small model has one for each core,
    since its products are too small to be shared between cores): what waits is sorted by length and decoded
    together, the samples of a call share the prefill of its prompt, and each is yielded as soon as it ends.

    *device*, *dtype*: see :func:`tpo.inprocess.loading.load_checkpoint`. *max_batch_tokens*: tokens in a
    batch, padding included; by default what the device has room for. *trust_remote_code* runs code that comes
    with the model.

    Determinism: sample *i* draws from a generator of its own, seeded with ``sampling.seed + i``, one number a
    token. What shares a batch with it shifts its float32 probabilities by about 1e-6, which alone would turn
    a draw now and then. So in float32 any draw that lies that near to an edge (see
    :mod:`tpo.policies.local.draw`) is made again, from logits computed for that row alone, for models of up
    to 30 million weights in float64: the text is then the same whatever the concurrency. Running in float64
    throughout would do the same at 1.6 times the cost. In larger models the noise may exceed the bound that
    was measured on small ones, and in half precision it always does: equality across batch shapes is **not**
    guaranteed there.

    Raises:
        MissingExtra: torch or transformers is not installed.
        PolicyRefused: no such model, or it has no chat template.
    """

    def __init__(
        self,
        path_or_id: str | Path,
        *,
        device: Device | None = None,
        dtype: str | None = None,
        max_batch_tokens: int | None = None,
        trust_remote_code: bool = False,
        start: Start = in_thread,
    ) -> None:
        if max_batch_tokens is not None and max_batch_tokens < 1:
            raise ConfigError(f"max_batch_tokens is {max_batch_tokens}; it must be at least 1")
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
        self._chat = ChatTokenizer(checkpoint.tokenizer, self.name, PolicyRefused)
        engines = _engines(checkpoint, self._chat, max_batch_tokens)
        alone = len(engines) == 1
        self._engines = [(one, Worker(one.step if alone else _one_core(one.step), start)) for one in engines]
        self._closed = False

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield ``sampling.n`` completions of *messages*, each as soon as it is finished.

        Raises:
            PolicyError: the prompt does not fit, or its template refuses it, or the model fails on it.
        """
        ended: asyncio.Queue[Finished | Exception] = asyncio.Queue()
        rows = self._rows(messages, sampling, scope, _from_thread(ended))
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
    def settled(self) -> int:
        """Draws so far that float32 left in doubt, and that were made again."""
        return sum(engine.settled for engine, _ in self._engines)

    def _rows(self, messages: Messages, sampling: Sampling, scope: Scope, deliver: Any) -> list[Row]:
        import numpy as np

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
            raise PolicyError(
                f"{_place(scope)}: the prompt has {len(prompt)} tokens and {self.name} reads {self.context}, "
                "the answer included; shorten the query or take a model with a longer context"
            )
        return prompt

    def _completion(self, finished: Finished, usage: Usage) -> Completion:
        return Completion(
            finished.index,
            self._chat.text(finished.tokens),
            finished.finish_reason,
            usage + Usage(completion_tokens=len(finished.tokens)),
        )


def _replicas(checkpoint: Checkpoint) -> int:
    """Engines on the same weights: one a core for a small model on a CPU, else one."""
    if checkpoint.device.type != "cpu" or checkpoint.spread or checkpoint.parameters > EXACT_PARAMETERS:
        return 1
    return max(1, min(MOST_REPLICAS, usable_cores()))


def _one_core(step: Callable[[], bool]) -> Callable[[], bool]:
    """*step* without threads of its own: those of several engines would wait for each other."""
    torch, _ = require_torch("an in-process model")

    def alone() -> bool:
        if torch.get_num_threads() != 1:  # a thread's own number, and threads come and go
            torch.set_num_threads(1)
        return step()

    return alone


def _engines(checkpoint: Checkpoint, chat: ChatTokenizer, max_batch_tokens: int | None) -> list[Any]:
    from tpo.policies.local.engine import Engine
    from tpo.policies.local.lanes import part_attention, reads_side_by_side

    replicas = _replicas(checkpoint)
    settings: dict[str, Any] = {
        "budget": max_batch_tokens or _room(checkpoint) // replicas,
        "padding": _worth_a_step(checkpoint),
        "arbiter": _arbiter(checkpoint),
        "noise": NOISE,
        "side_by_side": reads_side_by_side(checkpoint.model),
        "together": not checkpoint.spread and part_attention(checkpoint.model),
    }
    ends = _ends(checkpoint, chat)
    return [Engine(checkpoint.model, ends, **settings) for _ in range(replicas)]


def _ends(checkpoint: Checkpoint, chat: ChatTokenizer) -> frozenset[int]:
    """Every token that ends an answer: the generation settings', the model's own, the template's."""
    found: set[int | None] = set(chat.turn_ends())
    for settings in (checkpoint.model.generation_config, checkpoint.config):
        stated = getattr(settings, "eos_token_id", None)
        found |= set(stated if isinstance(stated, list) else [stated])
    return frozenset(token for token in found if token is not None)


def _arbiter(checkpoint: Checkpoint) -> Any:
    """What decides a draw that noise could turn: a small model in double precision, a larger one as it is."""
    torch, _ = require_torch("an in-process model")
    if checkpoint.dtype != torch.float32:
        return None
    if checkpoint.parameters > EXACT_PARAMETERS or checkpoint.device.type == "mps" or checkpoint.spread:
        return checkpoint.model
    return copy.deepcopy(checkpoint.model).double()


def _room(checkpoint: Checkpoint) -> int:
    """Slots that half of the free memory holds on a graphics card; a fixed number elsewhere."""
    from tpo.policies.local.cache import slot_bytes

    torch, _ = require_torch("an in-process model")
    if checkpoint.device.type != "cuda":
        return CPU_BUDGET
    free, _ = torch.cuda.mem_get_info(checkpoint.device)
    return max(2_048, min(262_144, int(free) // 2 // slot_bytes(checkpoint.config, checkpoint.dtype)))


def _worth_a_step(checkpoint: Checkpoint) -> int:
    """Slots that are read in the time that the weights take, twice, since a step costs more than they do."""
    from tpo.policies.local.cache import slot_bytes

    weights = checkpoint.parameters * checkpoint.dtype.itemsize
    return int(2 * weights // slot_bytes(checkpoint.config, checkpoint.dtype))


def _from_thread(ended: asyncio.Queue[Finished | Exception]) -> Callable[[Finished | Exception], None]:
    """Put what the worker's thread tells into *ended*, which belongs to the running loop."""
    loop = asyncio.get_running_loop()

    def deliver(result: Finished | Exception) -> None:
        with contextlib.suppress(RuntimeError):  # the caller's loop is closed: nobody waits any more
            loop.call_soon_threadsafe(ended.put_nowait, result)

    return deliver


async def _arrival(ended: asyncio.Queue[Finished | Exception]) -> Finished:
    result = await ended.get()
    if isinstance(result, Exception):
        raise result
    return result


def _place(scope: Scope) -> str:
    return f"query {scope.query!r}, {scope.phase} of step {scope.step}"
