"""Figures as values; that they are drawn is tested with the results."""

from dataclasses import replace

import pytest

from tests.experiments.sweep.values import BON, arm, row
from tpo.experiments.sweep.arms import Arm
from tpo.experiments.sweep.figures import sweep_figures
from tpo.report.figures import Figure

TPO = arm("tpo", 2, 1, {q: row((1.0, 2.0), (2.0, 5.0), (20.0, 32.0), (10.0, 10.0)) for q in ("a", "b")})


def by_name(arms: list[Arm], check_reward: str | None = None) -> dict[str, Figure]:
    return {figure.name: figure for figure in sweep_figures(arms, check_reward)}


def test_each_figure_is_there_once_and_those_of_a_held_out_reward_with_one_only() -> None:
    assert list(by_name([TPO, BON])) == ["width", "depth", "tokens", "written-tokens", "calls"]
    held_out = {q: replace(r, check_first=0.0, check=(1.0, 0.5)) for q, r in TPO.results.items()}
    there = by_name([arm("tpo", 2, 1, held_out)], "hf:org/check")
    assert list(there)[-2:] == ["held-out-steps", "over-optimization"]
    assert [(p.x, p.y) for p in there["over-optimization"].series[0].points] == [
        (1.0, 0.0),  # the first sample
        (2.0, 1.0),  # the best of the first samples
        (5.0, 0.5),  # the answer: the guide likes it better, the held-out reward less
    ]
    assert "hf:org/check" in there["over-optimization"].caption


def test_best_of_n_of_the_widest_pool_ends_where_its_own_cell_stands() -> None:
    width = by_name([TPO, BON])["width"]
    measured = next(series for series in width.series if series.name == "bon D0")
    estimated = next(series for series in width.series if series.dashed)
    assert [point.x for point in estimated.points] == [1.0, 2.0, 3.0, 4.0]
    assert estimated.points[-1].y == pytest.approx(measured.points[-1].y)


def test_the_line_by_tokens_begins_at_the_first_samples_and_counts_critiques() -> None:
    tokens = by_name([TPO, BON])["tokens"].series[0]
    assert [(point.x, point.y) for point in tokens.points] == [(30.0, 2.0), (42.0, 5.0)]
    assert all(point.queries == 2 for point in tokens.points)


def test_depth_begins_at_zero_with_the_best_of_the_first_samples() -> None:
    (line,) = by_name([TPO, BON])["depth"].series
    assert [(point.x, point.y) for point in line.points] == [(0.0, 2.0), (1.0, 5.0)]


def test_two_rewards_share_no_axis() -> None:
    other = Arm(TPO.label, TPO.method, "hf:org/other", (7,), TPO.results, 0, "alike")
    names = list(by_name([TPO, other]))
    assert len(names) == 10
    assert "width-guide" in names
    assert all("Reward: " in figure.caption for figure in sweep_figures([TPO, other]))


def test_arms_without_a_whole_query_are_in_no_figure() -> None:
    assert sweep_figures([arm("tpo", 2, 1, {})]) == []
