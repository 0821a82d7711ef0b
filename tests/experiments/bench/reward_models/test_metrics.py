"""Metrics of RewardBench 2; expected values are those of the authors' scripts for the same scores."""

import pytest

from tpo.experiments.bench.reward_models.metrics import accuracy, evaluate
from tpo.experiments.bench.reward_models.rows import RewardRow
from tpo.types import Query, user

EXPECTED = 0.5305814424437416


def row(id_: str, chosen: int, rejected: int, subset: str = "Math") -> RewardRow:
    kind, _, number = id_.partition(":")
    tie = (kind, int(number)) if number else None
    query = Query(f"{subset}/{id_}", (user("x"),))
    return RewardRow(query, subset, ("right",) * chosen, ("wrong",) * rejected, tie)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([2, 1, 0, 0], 1.0), ([1, 2, 0, 0], 0.0), ([2, 2, 0, 0], 0.5), ([1, 1, 1, 1], 0.25)],
)
def test_a_row_is_right_as_far_as_its_chosen_response_alone_scores_highest(
    scores: list[float], expected: float
) -> None:
    assert accuracy(scores) == expected


def test_the_score_of_ties_weighs_accuracies_and_margins() -> None:
    rows, scores = [], {}
    for id_, chosen, values in (
        ("ref:0", 1, [3.0, 1.0, 0.5]),
        ("tied:0", 3, [2.0, 1.8, 1.5, 0.2]),
        ("ref:1", 1, [0.1, 0.4]),
        ("tied:1", 2, [1.0, 1.0, 1.5, -1.0]),
        ("ref:2", 1, [2.2, 1.9]),
        ("tied:2", 2, [4.0, 1.0, 0.9]),
    ):
        rows.append(row(id_, chosen, len(values) - chosen, "Ties"))
        scores[f"Ties/{id_}"] = values
    found = evaluate(rows, scores)
    assert found.overall is not None
    assert found.overall.value == pytest.approx(EXPECTED, abs=1e-12)
    assert found.overall.low is not None
    assert found.overall.low < found.overall.value < (found.overall.high or 0)


def test_the_score_is_the_mean_over_subsets_and_not_over_rows() -> None:
    rows = [*(row(str(i), 1, 3, "Focus") for i in range(9)), row("0", 1, 3, "Math")]
    right, wrong = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]
    scores = {each.query.id: wrong if each.subset == "Math" else right for each in rows}
    found = evaluate(rows, scores)
    assert found.overall is not None
    assert found.overall.value == 0.5


def test_a_row_without_scores_is_counted_and_a_subset_without_any_has_no_score() -> None:
    rows = [row("0", 1, 3), row("1", 1, 3), row("0", 1, 3, "Focus")]
    found = evaluate(rows, {"Math/0": [1.0, 0.0, 0.0, 0.0]})
    by_name = {each.name: each for each in found.subsets}
    assert (by_name["Math"].scored, by_name["Math"].unscored) == (1, 1)
    assert by_name["Focus"].estimate is None
    assert found.overall is None


def test_subsets_of_equal_size_are_resampled_independently() -> None:
    names = ("Factuality", "Focus", "Math", "Safety")
    rows = [row(str(i), 1, 3, name) for name in names for i in range(100)]
    scores = {each.query.id: [float(i % 2), 0.5, 0.0, 0.0] for i, each in enumerate(rows)}
    overall = evaluate(rows, scores).overall
    assert overall is not None
    assert overall.low is not None
    assert overall.high is not None
    in_theory = 2 * 1.96 * 0.5 / 400**0.5
    assert overall.high - overall.low == pytest.approx(in_theory, rel=0.1)


def test_the_same_rows_in_another_order_give_the_same_interval() -> None:
    rows = [row(str(i), 1, 3) for i in range(20)]
    scores = {each.query.id: [float(i % 3 > 0), 0.5, 0.0, 0.0] for i, each in enumerate(rows)}
    assert evaluate(rows, scores).overall == evaluate(rows[::-1], scores).overall
