"""Draws: the right distribution, cut to the nucleus; and a doubt wherever noise could turn one."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from tpo.policies.local.draw import SHORTLIST, SamplingOptions, Settings, draw, penalized

PROBABILITIES = [0.5, 0.25, 0.15, 0.1]


def row_settings(uniform: Any, temperature: float = 1.0, top_p: float = 1.0) -> Settings:
    numbers = torch.as_tensor(uniform, dtype=torch.float64)
    return Settings(torch.full_like(numbers, temperature), torch.full_like(numbers, top_p), numbers)


def shares(top_p: float, temperature: float = 1.0) -> list[float]:
    """How often each token is drawn, over an even grid of uniform numbers."""
    grid = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    logits = torch.tensor([PROBABILITIES], dtype=torch.float64).log().expand(len(grid), -1)
    drawn = draw(logits, row_settings(grid, temperature, top_p))
    return [round(float((drawn.tokens == token).double().mean()), 3) for token in range(4)]


def test_draws_follow_the_distribution() -> None:
    assert shares(top_p=1.0) == PROBABILITIES


def test_the_nucleus_is_the_fewest_tokens_that_hold_top_p() -> None:
    assert shares(top_p=0.7) == [0.667, 0.333, 0.0, 0.0]
    assert shares(top_p=0.8) == [0.556, 0.278, 0.167, 0.0]


def test_a_tiny_top_p_leaves_the_most_probable_token() -> None:
    assert shares(top_p=1e-9) == [1.0, 0.0, 0.0, 0.0]


def test_a_lower_temperature_sharpens() -> None:
    assert shares(top_p=1.0, temperature=0.5) == [0.725, 0.181, 0.065, 0.029]


def test_temperature_0_takes_the_most_probable_whatever_the_number() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0]] * 2)
    assert draw(logits, row_settings([0.0, 0.999], temperature=0.0)).tokens.tolist() == [1, 1]


def test_rows_of_one_batch_keep_their_own_settings() -> None:
    logits = torch.tensor([PROBABILITIES] * 3).log()
    own = Settings(torch.tensor([0.0, 1.0, 1.0]), torch.tensor([1.0, 0.5, 1.0]), torch.tensor([0.99] * 3))
    assert draw(logits, own).tokens.tolist() == [0, 0, 3]


def test_a_nucleus_larger_than_the_shortlist_is_drawn_from_whole() -> None:
    size = 3 * SHORTLIST
    grid = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    flat = torch.zeros(size, size, dtype=torch.float64)
    assert sorted(draw(flat, row_settings(grid)).tokens.tolist()) == list(range(size))


def test_the_shortlist_changes_no_draw() -> None:
    logits = torch.randn(200, SHORTLIST + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    padded = torch.cat([logits, torch.full((200, 500), -1e4, dtype=torch.float64)], 1)
    numbers = torch.linspace(0, 0.999, 200, dtype=torch.float64)
    sharp = draw(logits * 4, row_settings(numbers, top_p=0.9)).tokens
    assert sharp.tolist() == draw(padded * 4, row_settings(numbers, top_p=0.9)).tokens.tolist()


def test_without_noise_nothing_is_doubted() -> None:
    logits = torch.zeros(4, 8)
    assert not draw(logits, row_settings([0.0, 0.125, 0.5, 0.75])).doubtful.any()
    assert not draw(logits, row_settings([0.0] * 4, temperature=0.0)).doubtful.any()


@pytest.mark.parametrize(
    ("uniform", "temperature", "top_p", "doubtful"),
    [
        (0.5 + 1e-6, 1.0, 1.0, True),  # on the edge between two tokens
        (0.4, 1.0, 1.0, False),
        (0.4, 1.0, 0.75 + 1e-6, True),  # whether the third token is in the nucleus
        (0.4, 1.0, 0.8, False),
        (0.4, 0.0, 1.0, False),
    ],
)
def test_a_draw_on_an_edge_is_doubted(
    uniform: float, temperature: float, top_p: float, *, doubtful: bool
) -> None:
    logits = torch.tensor([PROBABILITIES], dtype=torch.float64).log()
    drawn = draw(logits, row_settings([uniform], temperature, top_p), noise=1e-5)
    assert drawn.doubtful.tolist() == [doubtful]


def test_equals_at_the_nucleus_edge_and_at_the_top_are_doubted() -> None:
    logits = torch.tensor([[0.4, 0.3, 0.3 - 1e-7]], dtype=torch.float64).log()
    assert draw(logits, row_settings([0.1], top_p=0.6), noise=1e-5).doubtful.item()
    even = torch.tensor([[1.0, 1.0 + 1e-7, 0.0]], dtype=torch.float64)
    assert draw(even, row_settings([0.1], temperature=0.0), noise=1e-5).doubtful.item()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.5, 0.9, 0.95, 1.0]), st.sampled_from([0.0, 0.7, 1.0]))
def test_what_is_not_doubted_survives_the_noise(seed: int, top_p: float, temperature: float) -> None:
    source = torch.Generator().manual_seed(seed)
    logits = torch.randn(400, 100, generator=source, dtype=torch.float64) * 5
    numbers = torch.rand(400, generator=source, dtype=torch.float64)
    own = row_settings(numbers, temperature, top_p)
    noisy = logits + (torch.rand(400, 100, generator=source, dtype=torch.float64) - 0.5) * 4e-4
    drawn = draw(noisy, own, noise=2e-4)
    sure = ~drawn.doubtful
    assert sure.double().mean() > 0.3
    assert torch.equal(drawn.tokens[sure], draw(logits, own).tokens[sure])


@pytest.mark.parametrize("top_k", [0, 1, 3, 100, 900])
@pytest.mark.parametrize("min_p", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("top_p", [0.6, 0.999])
def test_top_k_and_min_p_leave_the_tokens_that_transformers_leaves(
    top_k: int, min_p: float, top_p: float
) -> None:
    torch.manual_seed(4)
    logits, temperature = 2 * torch.randn(1, 500, dtype=torch.float64), 0.8
    warpers = LogitsProcessorList(
        [
            TemperatureLogitsWarper(temperature),
            *([TopKLogitsWarper(top_k)] if top_k else []),
            TopPLogitsWarper(top_p),
            MinPLogitsWarper(min_p),
        ]
    )
    expected = torch.softmax(warpers(torch.zeros(1, 1), logits.clone()), -1)[0]
    grid = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    options = SamplingOptions(top_k=top_k, min_p=min_p)
    tokens = draw(logits.expand(4000, -1), row_settings(grid, temperature, top_p), options=options).tokens
    found = torch.bincount(tokens, minlength=500) / 4000
    assert (found - expected).abs().max() < 1 / 2000


def test_a_penalty_is_that_of_transformers() -> None:
    torch.manual_seed(4)
    logits, texts = torch.randn(2, 40), [[3, 5, 3], [7, 8, 39]]
    expected = RepetitionPenaltyLogitsProcessor(1.7)(torch.tensor(texts), logits.clone())
    assert torch.allclose(penalized(logits, texts, 1.7), expected)


@pytest.mark.parametrize("options", [SamplingOptions(top_k=2), SamplingOptions(min_p=0.5)])
def test_tokens_at_the_edge_of_an_option_are_doubtful(options: SamplingOptions) -> None:
    logits = torch.tensor([[0.0, -0.7, -math.log(2) - 0.00001, -5.0]], dtype=torch.float64)
    logits[0, 1] = logits[0, 2] + 1e-6
    doubtful = draw(logits, row_settings([0.1]), 1e-4, options).doubtful
    assert bool(doubtful)
    assert not bool(draw(logits, row_settings([0.1]), 1e-4).doubtful)
