"""A method as a value: its ranges, sampling values, cost and description."""

from __future__ import annotations

from typing import Any

import pytest

from tpo.errors import ConfigError
from tpo.methods.catalog import build_method
from tpo.methods.method import Cost


def test_critiques_draw_once_and_samples_n_times() -> None:
    method = build_method("tpo", sample_size=4, top_p=0.9)
    assert (method.critique_sampling.n, method.critique_sampling.top_p) == (1, 0.99)
    assert (method.sampling.n, method.sampling.top_p) == (4, 0.9)


def test_the_temperature_heats_responses_and_leaves_critiques_as_they_are() -> None:
    hot = build_method("tpo", temperature=1.3)
    assert (hot.sampling.temperature, hot.critique_sampling.temperature) == (1.3, 0.7)
    both = build_method("paper", temperature=1.3, critique_temperature=0.0)
    assert (both.sampling.temperature, both.critique_sampling.temperature) == (1.3, 0.0)


@pytest.mark.parametrize(
    ("shape", "option"),
    [
        ({"sample_size": 0}, "--sample-size"),
        ({"max_iterations": -1}, "--max-iterations"),
        ({"temperature": -0.1}, "--temperature"),
        ({"critique_temperature": -0.1}, "--critique-temperature"),
        ({"top_p": 0.0}, "--top-p"),
        ({"top_p": 1.5}, "--top-p"),
        ({"max_tokens": 0}, "--max-tokens"),
    ],
)
def test_a_value_out_of_range_is_named_by_its_option(shape: dict[str, Any], option: str) -> None:
    with pytest.raises(ConfigError, match=option):
        build_method("tpo", **shape)


def test_what_shapes_the_calls_is_described_for_the_record() -> None:
    described = build_method("revision").describe()
    assert described["name"] == "revision"
    assert {"sample_size", "max_iterations", "temperature", "top_p", "shows_rejected", "wording"} <= set(
        described
    )


@pytest.mark.parametrize(
    ("name", "calls", "completions"),
    [("tpo", 7, 19), ("paper", 7, 19), ("textgrad", 7, 19), ("fused", 5, 17), ("bon", 1, 5)],
)
def test_the_cost_counts_calls_completions_and_scores(name: str, calls: int, completions: int) -> None:
    scores = 5 if name == "bon" else 15
    assert build_method(name).cost(5, 2) == Cost(calls, completions, scores)


@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("fusion", Cost(2, 6, 6)),
        ("aggregate", Cost(11, 15, 15)),
        ("feedback-history", Cost(5, 17, 15)),
        ("multi-loss", Cost(11, 23, 15)),
        ("median", Cost(7, 19, 15)),
        ("ab-mcts", Cost(21, 25, 15)),
        ("tmpc", Cost(3, 15, 15)),
    ],
)
def test_the_cost_of_a_method_is_that_of_its_formula(name: str, cost: Cost) -> None:
    method = build_method(name, sample_size=5, max_iterations=2)
    assert method.cost(5, method.max_iterations) == cost
