"""Which numbers count as raw logits."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tpo.rewards.vllm.dialect import Dialect, same

LOGITS = st.lists(st.floats(-60, 60), min_size=2, max_size=4)


@given(LOGITS)
def test_a_sigmoid_is_told_from_its_logits(logits: list[float]) -> None:
    squashed = [1 / (1 + math.exp(-logit)) for logit in logits]
    near_the_fixed_point = all(abs(logit - 0.659) < 0.01 for logit in logits)
    assert same(logits, logits)
    assert near_the_fixed_point or not same(logits, squashed)


def test_pooling_names_its_task() -> None:
    assert Dialect("/pooling", "activation").fields() == {"task": "classify", "activation": False}
    assert Dialect("/classify", "use_activation").fields(raw=False) == {"use_activation": True}
