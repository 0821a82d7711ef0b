"""Packed batches: no padding, shared beginnings read once, every score as if its conversation were alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForSequenceClassification,
)

from tests.models import make_config, make_tokenizer
from tpo.inprocess.loading import Checkpoint
from tpo.rewards.layout import LEAST, lay_out
from tpo.rewards.packed import PackedReader, packed_reader
from tpo.rewards.padded import PaddedReader
from tpo.rewards.scorer import Scorer
from tpo.rewards.selftest import Trial

PAD = 5
Batch = list[list[int]]

tokens = st.integers(0, 40)
beginnings = st.sampled_from([[], [7, 8, 9], [7, 8, 9, *range(10, 40)], [*range(10, 40)] * 4])
rests = st.one_of(st.lists(tokens, min_size=1), st.integers(1, 120).map(lambda count: [count % 40] * count))
conversations = st.builds(lambda begin, rest: [*begin, *rest], beginnings, rests)
batches = st.lists(conversations, min_size=1, max_size=12)


def llama(**changes: Any) -> Any:
    torch.manual_seed(3)
    return LlamaForSequenceClassification(make_config(make_tokenizer(), num_labels=1, **changes)).eval()


def sliding() -> Any:
    torch.manual_seed(3)
    config = make_config(make_tokenizer()).to_dict() | {"sliding_window": 16, "model_type": "mistral"}
    return MistralForSequenceClassification(MistralConfig(**config, num_labels=1)).eval()


def checkpoint(model: Any) -> Checkpoint:
    return Checkpoint("m", model, None, torch.device("cpu"), torch.float32)


def scorer(model: Any) -> Scorer:
    return Scorer(checkpoint(model), exact=True)


def packed_and_tried(model: Any) -> tuple[PackedReader | None, Trial]:
    padded = PaddedReader(model, PAD, "m")
    trial = Trial.of(checkpoint(model), padded, PAD)
    return packed_reader(padded, trial), trial


SCORER = scorer(llama())


@pytest.fixture(scope="module")
def packed() -> Callable[[Batch], list[float]]:
    reader, _ = packed_and_tried(llama())
    assert reader is not None
    return reader


def alone(model: Any, batch: Batch) -> list[float]:
    return [PaddedReader(model, PAD, "m")([one])[0] for one in batch]


def test_what_conversations_begin_with_stands_once() -> None:
    layout = lay_out([[1, 2, 3, 4], [1, 2, 3, 5, 6], [1, 2, 9]])
    assert layout.ids[0, :7].tolist() == [1, 2, 3, 4, 5, 6, 9]
    assert layout.positions[0, :7].tolist() == [0, 1, 2, 3, 3, 4, 2]
    assert layout.ends == [3, 5, 6]
    read = layout.ids[0, layout.unfolded].tolist()
    assert [read[begin : begin + length] for begin, length in layout.spans] == [
        [1, 2, 3, 4],
        [1, 2, 3, 5, 6],
        [1, 2, 9],
    ]


def test_no_product_has_few_rows() -> None:
    layout = lay_out([[1, 2]])
    assert layout.ids.shape == layout.positions.shape == (1, LEAST)
    assert layout.last.tolist() == [1] * LEAST


@settings(deadline=None, max_examples=40)
@given(batches)
def test_each_scores_as_if_it_were_alone(packed: Callable[[Batch], list[float]], batch: Batch) -> None:
    expected = alone(llama(), batch)
    assert packed(batch) == pytest.approx(expected, abs=1e-4)


@settings(deadline=None, max_examples=40)
@given(batches, st.randoms())
def test_no_batch_changes_a_score_made_exact(batch: Batch, luck: Any) -> None:
    one = SCORER
    shuffled = luck.sample(batch, len(batch))
    single = {tuple(ids): one.scores([ids])[0] for ids in batch}
    assert one.scores(batch) == [single[tuple(ids)] for ids in batch]
    assert one.scores(shuffled) == [single[tuple(ids)] for ids in shuffled]


def test_the_padding_token_is_not_what_is_scored(packed: Callable[[Batch], list[float]]) -> None:
    batch = [[9, 8, PAD, 7, PAD], [9, 8, PAD, 7], [PAD, PAD], [9]]
    assert packed(batch) == pytest.approx(alone(llama(), batch), abs=1e-4)


def test_a_model_whose_attention_slides_is_read_with_padding_and_stays_as_it_was() -> None:
    model = sliding()
    assert packed_and_tried(model)[0] is None
    assert model.config._attn_implementation == "sdpa"


def test_a_model_with_other_names_is_read_rightly() -> None:
    torch.manual_seed(3)
    config = GPT2Config(vocab_size=300, n_positions=128, n_embd=32, n_layer=2, n_head=4, num_labels=1)
    model = GPT2ForSequenceClassification(config).eval()
    model.config.pad_token_id = PAD
    batch = [[9, 8, 7], [9, 8, 7, 6, 5], list(range(40, 100))]
    expected = alone(model, batch)
    assert scorer(model).scores(batch) == pytest.approx(expected, abs=6e-5)


def test_a_model_that_cannot_be_trimmed_is_read_with_padding_and_stays_as_it_was() -> None:
    model = llama()
    last = model.base_model.layers[-1]
    last.mlp = torch.nn.Sequential(last.mlp, Backwards())
    batch = [[9, 8, 7], [9, 8, 7, 6, 5]]
    before = alone(model, batch)
    assert packed_and_tried(model)[0] is None
    assert alone(model, batch) == before


class Backwards(torch.nn.Module):
    """What reads a token's neighbours, as no packed row allows."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden.cumsum(1)


def test_where_batches_round_otherwise_a_reading_alone_decides() -> None:
    """Of 60 scores about a dozen lie so near to an edge that float32 alone could not tell."""
    one = scorer(sliding())
    assert not one.steady
    batch = [[7, 8, *range(10, 20 + at)] for at in range(60)]
    expected = [round(value, 4) for value in alone(sliding().double(), batch)]
    assert one.scores(batch) == expected
    assert [one.scores([ids])[0] for ids in batch] == expected


def test_steadiness_is_told_by_trying() -> None:
    reader, trial = packed_and_tried(llama())
    assert reader is not None
    reader.model.base_model.layers[0].mlp = Crowded(reader.model.base_model.layers[0].mlp)
    assert not trial.is_steady(reader)


class Crowded(torch.nn.Module):
    """A product whose rounding depends on its number of rows."""

    def __init__(self, inner: torch.nn.Module, noise: float = 1e-6) -> None:
        super().__init__()
        self.inner = inner
        self.noise = noise

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(hidden) * (1 + self.noise * hidden.shape[1])
        return found


def test_where_a_batch_moves_scores_over_the_edge_of_a_rounding_a_reading_alone_decides() -> None:
    model = llama()
    model.model.layers[0].mlp = Crowded(model.model.layers[0].mlp, 5e-8)
    one = scorer(model)
    assert one.packed
    assert not one.steady
    batch = [[7, 8, *range(10, 20 + at)] for at in range(60)]
    alone = [one.scores([ids])[0] for ids in batch]
    assert one.scores(batch) == alone
    assert one.scores(batch[:30]) == alone[:30]


def test_a_small_model_on_a_processor_is_read_by_several_threads() -> None:
    assert SCORER.packed
    assert SCORER.workers >= 1
    assert scorer(sliding()).workers == 1
