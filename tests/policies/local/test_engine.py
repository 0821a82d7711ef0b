"""The engine: rows meet, end, are dropped, and come back after trouble, and their texts do not change."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from tpo.errors import PolicyError
from tpo.policies.local.engine import Engine
from tpo.policies.local.row import Finished, Row
from tpo.policies.local.selftest import part_attention

ENDS = frozenset({1, 2})
Ends = dict[int, Finished | Exception]


class Troubled:
    """A model that fails while more than *most* rows are in its batch, as a device that is too small does."""

    def __init__(self, model: Any, most: int, error: Exception) -> None:
        self.model, self.most, self.error = model, most, error
        self.config, self.device = model.config, model.device
        self.largest = 0

    def forward(self, **inputs: Any) -> Any:
        return self(**inputs)

    def __call__(self, **inputs: Any) -> Any:
        parts = inputs.get("parts")
        rows = sum(len(part.ids) for part in parts) if parts else len(inputs["input_ids"])
        if rows > self.most:
            raise self.error
        self.largest = max(self.largest, rows)
        return self.model(**inputs)


@pytest.fixture(scope="module")
def model(policy_folder: Path) -> Any:
    """In double precision, so that no noise is in the way of what is tested here."""
    return LlamaForCausalLM.from_pretrained(policy_folder).double().eval()


@pytest.fixture(scope="module", params=[False, True], ids=["apart", "together"])
def way(request: pytest.FixtureRequest, policy_folder: Path) -> dict[str, Any]:
    """The same model, its batches read one by one and all in one pass: how an engine is made with it."""
    model = LlamaForCausalLM.from_pretrained(policy_folder).double().eval()
    return {"model": model, "ends": ENDS, "together": request.param and part_attention(model)}


def make_rows(count: int, ended: Ends, **changes: Any) -> list[Row]:
    def row(index: int) -> Row:
        values: dict[str, Any] = {
            "prompt": tuple(range(10, 14 + index % 3 * 9)),
            "temperature": 1.0,
            "top_p": 0.95,
            "max_tokens": 5 + 7 * (index % 4),
        }
        return Row(
            index,
            generator=np.random.default_rng(index),
            deliver=lambda result: ended.__setitem__(index, result),
            **(values | changes),
        )

    return [row(index) for index in range(count)]


def run(engine: Engine, rows: Iterable[Row]) -> None:
    engine.add(list(rows))
    while engine.step():
        pass


@pytest.fixture(scope="module")
def alone(model: Any) -> Ends:
    """What each of twenty rows comes to by itself."""
    ended: Ends = {}
    for row in make_rows(20, ended):
        run(Engine(model, ENDS, budget=1), [row])
    return ended


def test_what_shares_the_batch_does_not_matter(way: dict[str, Any], alone: Ends) -> None:
    ended: Ends = {}
    run(Engine(**way, budget=100_000), make_rows(20, ended))
    assert ended == alone


TALK = tuple(10 + at * 7 % 50 for at in range(80))
"""Long enough to be kept once for all samples."""


def test_samples_of_one_text_are_written_side_by_side_and_are_the_same(
    model: Any, way: dict[str, Any]
) -> None:
    lengths = (3, 40, 9, 40, 25, 1, 30)
    apart, together = Ends(), Ends()
    for row, most in zip(make_rows(7, apart, prompt=TALK), lengths, strict=True):
        row.max_tokens = most
        run(Engine(model, ENDS, budget=1), [row])
    rows = [*make_rows(7, together, prompt=TALK), *make_rows(9, Ends(), prompt=TALK[:70])]
    for row, most in zip(rows, lengths, strict=False):
        row.max_tokens = most
    run(engine := Engine(**way, budget=100_000, side_by_side=True), rows)
    assert together == apart
    assert engine.widest > 1


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_groups_that_join_later_change_no_text(model: Any, way: dict[str, Any], steps: int) -> None:
    apart, together = Ends(), Ends()
    run(Engine(model, ENDS, budget=100_000), make_rows(12, apart, prompt=TALK, max_tokens=30))
    engine = Engine(**way, budget=3_000, side_by_side=True)
    rows = make_rows(12, together, prompt=TALK, max_tokens=30)
    for first in range(0, 12, 4):
        engine.add(rows[first : first + 4])
        for _ in range(steps):
            engine.step()
    run(engine, [])
    assert together == apart


def test_a_conversation_that_goes_on_is_not_read_again(model: Any) -> None:
    engine = Engine(model, frozenset(), budget=10_000)
    first = make_rows(1, Ends(), prompt=TALK, max_tokens=12)
    run(engine, first)
    more = (*first[0].text, 30, 31, 32)
    afresh, onwards = Ends(), Ends()
    run(Engine(model, frozenset(), budget=10_000), make_rows(6, afresh, prompt=more))
    run(engine, make_rows(6, onwards, prompt=more))
    assert onwards == afresh
    assert engine.prefixes.spared == 6 * (len(first[0].text) - 1)


def test_a_sample_is_what_plain_decoding_gives(model: Any) -> None:
    ended: Ends = {}
    run(Engine(model, ENDS, budget=10_000), make_rows(8, ended, temperature=0.0, max_tokens=12))
    for row in make_rows(8, {}):
        text = list(row.prompt)
        for _ in range(12):
            text.append(int(model(input_ids=torch.tensor([text])).logits[0, -1].argmax()))
            if text[-1] in ENDS:
                break
        assert ended[row.index] == Finished(
            row.index, tuple(text[len(row.prompt) :]), "stop" if text[-1] in ENDS else "length"
        )


def test_each_row_is_told_when_it_ends_not_when_the_batch_does(model: Any) -> None:
    ended: Ends = {}
    engine = Engine(model, frozenset(), budget=10_000)
    engine.add([*make_rows(1, ended, max_tokens=2), *make_rows(3, ended, max_tokens=9)[1:]])
    for _ in range(3):  # one step begins, two write a token each
        engine.step()
    assert set(ended) == {0}


def test_a_long_answer_holds_up_nobody(model: Any) -> None:
    ended: Ends = {}
    engine = Engine(model, frozenset(), budget=2_000)
    engine.add(make_rows(1, ended, max_tokens=200))
    for _ in range(5):
        engine.step()
    engine.add(make_rows(4, ended, max_tokens=3)[1:])
    for _ in range(12):
        engine.step()
    assert set(ended) == {1, 2, 3}


@pytest.mark.parametrize("steps", [1, 2, 5, 9])
def test_rows_that_join_later_change_no_text(way: dict[str, Any], alone: Ends, steps: int) -> None:
    ended: Ends = {}
    engine = Engine(**way, budget=3_000, padding=0)
    for row in make_rows(20, ended):
        engine.add([row])
        for _ in range(steps):
            engine.step()
    run(engine, [])
    assert ended == alone


def test_a_row_that_nobody_wants_any_more_is_dropped(model: Any) -> None:
    ended: Ends = {}
    engine = Engine(model, frozenset(), budget=10_000)
    rows = make_rows(2, ended, max_tokens=10**6)
    engine.add(rows)
    for _ in range(5):
        engine.step()
    for row in rows:
        row.over = True
    while engine.step():
        pass
    assert ended == {}
    assert max(len(row.tokens) for row in rows) < 10


def test_a_cancelled_row_never_starts(model: Any) -> None:
    ended: Ends = {}
    rows = make_rows(3, ended)
    rows[1].over = True
    run(Engine(model, ENDS, budget=10_000), rows)
    assert set(ended) == {0, 2}


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("strange")])
def test_a_batch_that_fails_is_parted_and_the_texts_are_the_same(
    way: dict[str, Any], alone: Ends, error: Exception
) -> None:
    ended: Ends = {}
    small = Troubled(way["model"], 3, error)
    run(Engine(**way | {"model": small}, budget=100_000), make_rows(20, ended))
    assert small.largest == 3
    assert ended == alone


class NeverWrites(Troubled):
    """A model that reads prompts and fails at every token after them."""

    def __call__(self, **inputs: Any) -> Any:
        if inputs.get("parts") or inputs["input_ids"].shape[1] == 1 or inputs["attention_mask"].ndim == 4:
            raise self.error
        return self.model(**inputs)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_an_error_that_persists_fails_every_row_after_a_bounded_number_of_tries(
    way: dict[str, Any], count: int
) -> None:
    ended: Ends = {}
    engine = Engine(**way | {"model": NeverWrites(way["model"], 0, RuntimeError("broken"))}, budget=100_000)
    engine.add(make_rows(count, ended, max_tokens=10**6))
    steps = 0
    while engine.step() and steps < 12 * count:
        steps += 1
    assert steps < 12 * count
    assert len(ended) == count
    assert all(isinstance(result, PolicyError) for result in ended.values())


def test_rows_beyond_the_limit_are_decoded_by_generate_and_are_the_same(
    way: dict[str, Any], alone: Ends
) -> None:
    ended: Ends = {}
    engine = Engine(**way, budget=100_000, limit=16)  # some prompts are longer, others cross it
    engine.add(make_rows(20, ended))
    while engine.step():
        pass
    assert ended == alone


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "memory ran out on a single answer of 4 tokens"),
        (RuntimeError("first\nsecond"), r"the model failed on a prompt of 4 tokens \(RuntimeError: first\)"),
    ],
)
def test_a_row_that_fails_alone_says_why(model: Any, error: Exception, words: str) -> None:
    ended: Ends = {}
    run(Engine(Troubled(model, 0, error), ENDS, budget=1), make_rows(1, ended))
    assert isinstance(ended[0], PolicyError)
    with pytest.raises(PolicyError, match=words):
        raise ended[0]


def test_a_batch_that_outgrows_its_budget_is_parted_and_the_texts_are_the_same(
    way: dict[str, Any], alone: Ends
) -> None:
    ended: Ends = {}
    run(Engine(**way, budget=60), make_rows(20, ended))
    assert ended == alone


def test_float32_with_its_arbiter_draws_as_double_precision_does(
    policy_folder: Path, model: Any, alone: Ends
) -> None:
    single = LlamaForCausalLM.from_pretrained(policy_folder).eval()
    ended: Ends = {}
    engine = Engine(single, ENDS, budget=100_000, arbiter=model, noise=1e-2)
    run(engine, make_rows(20, ended))
    assert engine.settled > 0
    assert ended == alone
