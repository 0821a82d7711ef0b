"""The choice of a configuration: scores and costs by query, budgets, turning points, the rule."""

from dataclasses import replace

import pytest

from tests.experiments.sweep.values import arm, row
from tests.report.runs import chance
from tpo.errors import ConfigError
from tpo.experiments.sweep.arms import Arm
from tpo.experiments.sweep.costs import TOKENS
from tpo.experiments.tune.choice import best_by_kind
from tpo.experiments.tune.configurations import (
    FOLDS,
    Configuration,
    best_within,
    configurations,
    cross_validated,
    named_pools,
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


def test_a_pool_has_the_name_of_the_method_that_draws_it_alone() -> None:
    rows = {q: row((1.0, 2.0), (2.0, 5.0), (20.0, 40.0)) for q in QUERIES}
    samples = {q: row((1.0, 2.0), (2.0,), (20.0,)) for q in QUERIES}
    key = "behind a system text"
    arms = [
        arm("tpo", 2, 1, rows),
        replace(arm("paper", 2, 1, rows), sampling_key=key),
        arm("bon", 2, 0, samples),
        replace(arm("paper-bon", 2, 0, samples), sampling_key=key),
    ]
    found = [(name, pool.label) for name, pool in named_pools(arms)]
    assert found == [("bon", "bon D0-N2"), ("paper-bon", "paper-bon D0-N2")], "not the first of equal size"
    deeper = replace(arm("paper", 3, 1, rows), sampling_key=key)
    assert named_pools([*arms, deeper])[-1] == ("paper-bon", deeper), "the largest pool, under that name"
    assert named_pools([arms[0]]) == [("bon", arms[0])], "without best-of-n, by the first prompt"
    assert named_pools([arms[1]]) == [], "nothing that was run draws it alone"


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


def test_a_choice_among_noise_is_optimistic_and_its_cross_validated_score_is_not() -> None:
    found = [varied([chance(name, query) for query in QUERIES], name) for name in range(1, 60)]
    chosen, honest = best_within(found, None), cross_validated(found, None)
    assert honest.score < 0.53 < 0.57 < chosen.score
    for fold in range(FOLDS):
        outside = QUERIES[fold::FOLDS]
        by_others = best_within(found, None, [query for query in QUERIES if query not in outside])
        assert [honest.scores[query] for query in outside] == [by_others.scores[query] for query in outside]
    assert cross_validated(found, 1.0).cost == found[0].cost, (
        "the cheapest, where nothing is within the budget"
    )


def test_each_method_and_each_rule_is_shown_by_its_best_within_the_budget() -> None:
    def of(method: str, score: float, cost: float, rule: str = "") -> Configuration:
        flat = dict.fromkeys(QUERIES, score)
        return Configuration(method, 5, 1, dict.fromkeys(QUERIES, cost), flat, rule)

    found = [of("tpo", 1.0, 5.0), of("tpo", 2.0, 9.0), of("bon", 0.5, 1.0), of("fused", 3.0, 99.0)]
    found += [of("tpo", 1.5, 7.0, "plateau"), of("bon", 0.7, 2.0, "sample_cost")]
    assert [(kind, each.score) for kind, each in best_by_kind(found, 10.0)] == [
        ("method tpo", 2.0),
        ("method bon", 0.5),
        ("rule --plateau", 1.5),
        ("rule --sample-cost", 0.7),
    ]
