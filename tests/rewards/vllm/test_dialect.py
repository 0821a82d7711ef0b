"""Which numbers count as raw logits."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.http import HttpFailure
from tpo.rewards.vllm.dialect import NOISE, Dialect, find_dialect, same

LOGITS = st.lists(st.floats(-60, 60), min_size=2, max_size=4)


@given(LOGITS, st.floats(-NOISE, NOISE))
def test_a_sigmoid_is_told_from_its_logits(logits: list[float], noise: float) -> None:
    squashed = [1 / (1 + math.exp(-logit)) for logit in logits]
    near_the_fixed_point = all(abs(logit - 0.659) < 1.4 * NOISE for logit in logits)
    assert same(logits, logits)
    assert near_the_fixed_point or not same(logits, squashed)
    assert same([value + 0.9 * noise for value in squashed], squashed)


async def test_a_server_whose_probabilities_vary_with_its_load_gives_no_logits() -> None:
    calls = itertools.count()

    async def ask(path: str, fields: dict[str, Any]) -> list[float]:
        noise = 0.02 * (-1) ** next(calls)
        return [1 / (1 + math.exp(-logit - noise)) for logit in (2.0, -3.0)]

    with pytest.raises(HttpFailure, match="a sigmoid"):
        await find_dialect(ask)


async def test_noise_hides_no_logits() -> None:
    calls = itertools.count()

    async def ask(path: str, fields: dict[str, Any]) -> list[float]:
        logits = [logit + 0.02 * (-1) ** next(calls) for logit in (0.2, 0.1)]
        return [1 / (1 + math.exp(-it)) for it in logits] if fields["use_activation"] else logits

    assert await find_dialect(ask) == Dialect("/classify", "use_activation")


def test_pooling_names_its_task() -> None:
    assert Dialect("/pooling", "activation").fields() == {"task": "classify", "activation": False}
    assert Dialect("/classify", "use_activation").fields(raw=False) == {"use_activation": True}
