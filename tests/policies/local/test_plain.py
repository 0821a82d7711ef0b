"""Decoding by generate: a row at a time, or samples of one text together; a failure is its row's own."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from tests.families import save_causal
from tpo.errors import PolicyError, PolicyRefused
from tpo.inprocess.loading import load_checkpoint
from tpo.policies.local.plain import PlainEngine
from tpo.policies.local.row import Finished, Row

ENDS = frozenset(range(100, 140))
"""Many, so that answers end at different tokens."""
Ends = dict[int, Finished | Exception]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = save_causal(tmp_path_factory.mktemp("lfm2"), "lfm2")
    model = load_checkpoint(folder, "causal", PolicyRefused, device="cpu", dtype="float64").model
    model.generation_config = GenerationConfig()
    return model


def rows(count: int, ended: Ends, prompt: tuple[int, ...] = tuple(range(10, 30))) -> list[Row]:
    def row(index: int) -> Row:
        def deliver(result: Finished | Exception) -> None:
            ended[index] = result

        return Row(index, prompt, 1.0, 1.0, 20, np.random.default_rng(index), deliver)

    return [row(index) for index in range(count)]


def run(engine: PlainEngine, waiting: list[Row]) -> int:
    engine.add(waiting)
    steps = 0
    while engine.step():
        steps += 1
    return steps


def test_samples_of_one_text_are_decoded_together_where_that_is_asked_and_are_the_same(model: Any) -> None:
    alone, together = Ends(), Ends()
    assert run(PlainEngine(model, ENDS), rows(6, alone)) == 6
    assert run(PlainEngine(model, ENDS, batched=True), rows(6, together)) == 1
    assert together == alone
    lengths = {len(one.tokens) for one in alone.values() if isinstance(one, Finished)}
    assert len(lengths) > 2


def test_other_texts_wait_for_their_own_turn(model: Any) -> None:
    ended: Ends = {}
    waiting = [*rows(2, ended), *rows(4, ended, prompt=(5, 6, 7))[2:]]
    assert run(PlainEngine(model, ENDS, batched=True), waiting) == 2
    assert set(ended) == {0, 1, 2, 3}


def test_rows_that_nobody_wants_are_not_decoded(model: Any) -> None:
    ended: Ends = {}
    waiting = rows(3, ended)
    waiting[0].over = waiting[2].over = True
    assert run(PlainEngine(model, ENDS), waiting) == 1
    assert set(ended) == {1}


class Crowded:
    """A model that fails on more than *most* rows at a time."""

    def __init__(self, model: Any, most: int) -> None:
        self.model, self.most, self.device = model, most, model.device
        self.calls = 0

    def generate(self, ids: torch.Tensor, **options: Any) -> Any:
        self.calls += 1
        if len(ids) > self.most:
            raise RuntimeError("too many")
        return self.model.generate(ids, **options)


def test_samples_that_fail_together_are_decoded_alone(model: Any) -> None:
    alone, ended = Ends(), Ends()
    run(PlainEngine(model, ENDS), rows(4, alone))
    run(PlainEngine(crowded := Crowded(model, 1), ENDS, batched=True), rows(4, ended))
    assert ended == alone
    assert crowded.calls == 5


def test_a_row_that_fails_alone_says_why(model: Any) -> None:
    ended: Ends = {}
    run(PlainEngine(crowded := Crowded(model, 0), ENDS, batched=True), rows(3, ended))
    assert all(
        isinstance(one, PolicyError) and "RuntimeError: too many" in str(one) for one in ended.values()
    )
    assert (len(ended), crowded.calls) == (3, 4)
