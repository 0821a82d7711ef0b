"""A batch read as rows of one length, the shorter ones padded on the right: what every classifier reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tpo.rewards.heads import raw_scores


class PaddedReader:
    """Raw logits of whole batches by *model*. *pad* is the padding token that it names, if it does.

    A padding token that is none of its tokens, as -1, counts as none.
    """

    def __init__(self, model: Any, pad: int | None, name: str) -> None:
        self.model = model
        self.pad_token = pad if pad is not None and 0 <= pad < _vocabulary(model) else None
        self._name = name

    def __call__(self, batch: Sequence[Sequence[int]]) -> list[float]:
        """One raw logit a conversation, as it would be alone."""
        model = self.model
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
        """Padding token.

        A classifier scores at its last token that is not the padding token, so a model that names one keeps
        it: it was trained that way. Without one it scores at the last token, so any id serves that none of
        the batch ends with.
        """
        if self.pad_token is not None:
            return self.pad_token
        last = {one[-1] for one in batch}
        # Some heads of their own score before the first padding token: best is one that stands nowhere.
        there = {token for one in batch for token in one}
        absent = (token for token in range(_vocabulary(self.model)) if token not in there)
        return next(absent, next(token for token in range(len(last) + 1) if token not in last))


def _vocabulary(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)
