"""A reward model behind one or several SGLang servers, its raw logit being the score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tpo.http import HttpFailure
from tpo.rewards.probes import PROBES
from tpo.rewards.vllm.dialect import Dialect
from tpo.rewards.vllm.protocol import Numbers, Reading, only_number
from tpo.rewards.vllm.replica import Replica
from tpo.rewards.vllm.reward import VLLMReward
from tpo.types import Messages

PATH = "/classify"
"""SGLang's own endpoint. Its ``/v1/classify`` returns probabilities."""
FLAG = "--is-embedding"


class SGLangReplica(Replica):
    """One SGLang server of the reward model.

    ``/classify`` takes token ids and returns the head's output as ``embedding``. The request cannot turn an
    activation off, so the numbers of all probes must show that there is none.
    """

    probes: ClassVar[Sequence[tuple[Messages, str]]] = tuple(
        (probe.messages, text) for probe in PROBES for text in (probe.good, probe.poor)
    )
    _takes_messages = False

    async def _ask(self, path: str, readings: Sequence[Reading], fields: dict[str, Any]) -> Numbers:
        body = {"model": (await self.card()).name, "input_ids": [[*(one.ids or ())] for one in readings]}
        count = len(readings)
        return await self.client.request(
            "POST",
            path,
            body | fields,
            read=lambda reply: read_embeddings(reply, count),
            work=lambda numbers: len(numbers.values),
        )

    async def _find(self, probes: Sequence[Reading]) -> Dialect:
        readings = [await self._with_ids(probe) for probe in probes]
        try:
            values = await self._asker(readings)(PATH, {})
        except HttpFailure as failure:
            if failure.status != 404:
                raise
            reason = f"the server has no {PATH}: start SGLang with {FLAG} ({failure})"
            raise HttpFailure(reason, fatal=True) from failure
        if all(0.0 <= value <= 1.0 for value in values):
            raise HttpFailure(
                f"the server gives {min(values):.3g} to {max(values):.3g} for all {len(values)} probes, as"
                " after a sigmoid, under which good responses tie: serve the model with vLLM, or load it with"
                " hf:",
                fatal=True,
            )
        return Dialect(PATH)

    async def _with_ids(self, probe: Reading) -> Reading:
        try:
            return probe if probe.ids is not None else await self._tokenized(probe)
        except HttpFailure as failure:
            if failure.status not in (400, 404, 422):
                raise
            advice = "name the model's tokenizer with --reward-tokenizer"
            reason = f"the server makes no token ids of conversations: {advice} ({failure})"
            raise HttpFailure(reason, fatal=True) from failure


class SGLangReward(VLLMReward):
    """A one-label sequence classifier served by ``sglang.launch_server --is-embedding``.

    The options and the tokenizer are those of :class:`tpo.rewards.vllm.VLLMReward`. Without a tokenizer at
    hand, the server's own makes the token ids, and nothing is shortened to fit. Read in the source of SGLang
    0.5.23 (``entrypoints/http_server.py``, ``models/llama_reward.py``); not run against it.
    """

    _replica: ClassVar[type[Replica]] = SGLangReplica
    _spare_tokens: ClassVar[int] = 6
    """SGLang refuses as many tokens as its context. With ``--allow-auto-truncate`` it cuts the end of the
    response so that six tokens are free (``managers/tp_worker.py``, ``managers/utils.py``)."""


def read_embeddings(reply: Any, count: int) -> Numbers:
    """Return one number for each of *count* conversations, in their order.

    Raises:
        HttpFailure: fewer or more came, which may pass; or the model has several labels, which does not.
    """
    rows = reply if isinstance(reply, list) else []
    if len(rows) != count or not all(isinstance(row, dict) for row in rows):
        raise HttpFailure(f"the server sent no list of {count} scores", passes=True)
    tokens = [(row.get("meta_info") or {}).get("prompt_tokens") for row in rows]
    counted = sum(number for number in tokens if isinstance(number, int))
    return Numbers([only_number(row.get("embedding"), FLAG) for row in rows], counted)
