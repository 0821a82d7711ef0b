"""The choice of a configuration: scores and costs by query, budgets, turning points, the rule."""

from dataclasses import replace

import pytest

from tests.experiments.sweep.values import arm, row
from tpo.errors import ConfigError
from tpo.experiments.sweep.arms import Arm
from tpo.experiments.sweep.costs import TOKENS
from tpo.experiments.tune.configurations import (
    Configuration,
    best_within,
    configurations,
    turning_points,
    when_needed,
)

QUERIES = [f"q{k}" for k in range(40)]


def tpo(held_out: tuple[float, ...] = ()) -> Arm:
    rows = {q: row((1.0, 2.0), (2.0, 5.0, 5.0), (20.0, 40.0, 60.0), (10.0, 20.0, 30.0)) for q in QUERIES}
    if held_out:
        rows = {q: replace(r, check=held_out, check_best_of=(0.5, 1.0)) for q, r in rows.items()}
    return arm("tpo", 2, 2, rows)


def varied(scores: list[float], depth: int = 1, cost: float = 10.0) -> Configuration:
    values = dict(zip(QUERIES, scores, strict=True))
    return Configuration("tpo", 5, depth, dict.fromkeys(QUERIES, cost * (depth + 1)), values)


def test_one_run_gives_every_depth_and_best_of_every_n() -> None:
    found = configurations([tpo()], TOKENS, held_out=False)
    assert [(each.label, each.cost, each.score) for each in found] == [
        ("tpo D1-N2", 60.0, 5.0),
        ("tpo D2-N2", 90.0, 5.0),
        ("bon D0-N1", 20.0, 1.5),
        ("bon D0-N2", 30.0, 2.0),
    ]


def test_the_held_out_reward_judges_where_there_is_one() -> None:
    found = configurations([tpo((1.0, 0.0, -3.0))], TOKENS, held_out=True)
    assert best_within(found, None).label == "bon D0-N2"
    guided = configurations([tpo((1.0, 0.0, -3.0))], TOKENS, held_out=False)
    assert best_within(guided, None).label == "tpo D1-N2", "of equal scores the cheaper"


def test_the_choice_costs_no_more_than_the_budget() -> None:
    found = configurations([tpo()], TOKENS, held_out=False)
    assert best_within(found, 59.0).label == "bon D0-N2"
    with pytest.raises(ConfigError, match="cheapest configuration costs 20 a query"):
        best_within(found, 10.0)


def test_the_turning_point_is_the_last_value_whose_successor_is_no_better() -> None:
    noise = [(-1) ** k * 0.5 for k in range(40)]
    line = [varied([depth * 1.0 + e for e in noise], depth) for depth in (1, 2)]
    line.append(varied([2.0 + e for e in noise[::-1]], 4))
    (point,) = [each for each in turning_points(line) if each.of.startswith("D")]
    assert (point.value, point.reached) == (2, True)
    (rising,) = [each for each in turning_points(line[:2]) if each.of.startswith("D")]
    assert (rising.value, rising.reached, rising.next) == (2, False, None)


def test_the_rule_optimizes_those_that_gain_and_spares_the_others() -> None:
    gains = [4.0 if k % 2 else 0.0 for k in range(40)]
    firsts = {q: [0.0, gain / 4] for q, gain in zip(QUERIES, gains, strict=True)}
    stopped = varied([1.0] * 40, 0)
    need = when_needed(varied([1.0 + gain for gain in gains], 2), stopped, firsts)
    rule = need.configuration
    assert rule.score == pytest.approx(3.0), "no gain is lost"
    assert rule.cost == pytest.approx((10.0 + 30.0) / 2), "half of the queries stop at their first samples"
    assert rule.label == "tpo D2-N5 --when-needed"
    assert need.threshold == pytest.approx(1.0)
