"""Figures as values; that they are drawn is tested with the results."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.sweep.values import BON, arm, row
from tpo.experiments.sweep.arms import Arm
from tpo.experiments.sweep.costs import SECONDS
from tpo.experiments.sweep.figures import sweep_figures
from tpo.report.figure_files import save_figures
from tpo.report.figures import Figure

TPO = arm("tpo", 2, 1, {q: row((1.0, 2.0), (2.0, 5.0), (20.0, 32.0), (10.0, 10.0)) for q in ("a", "b")})


def by_name(arms: list[Arm], check_reward: str | None = None) -> dict[str, Figure]:
    return {figure.name: figure for figure in sweep_figures(arms, check_reward)}


def test_each_figure_is_there_once_and_those_of_a_held_out_reward_with_one_only() -> None:
    assert list(by_name([TPO, BON])) == ["width", "depth", "tokens", "written-tokens", "calls"]
    held_out = {q: replace(r, check_first=0.0, check=(1.0, 0.5)) for q, r in TPO.results.items()}
    there = by_name([arm("tpo", 2, 1, held_out)], "hf:org/check")
    assert list(there)[-5:] == [
        "held-out-steps",
        "over-optimization",
        "held-out-tokens",
        "held-out-written-tokens",
        "held-out-calls",
    ]
    assert [(p.x, p.y) for p in there["over-optimization"].series[0].points] == [
        (1.0, 0.0),  # the first sample
        (2.0, 1.0),  # the best of the first samples
        (5.0, 0.5),  # the answer: the guide likes it better, the held-out reward less
    ]
    assert "hf:org/check" in there["over-optimization"].caption


def test_the_line_by_seconds_goes_through_whole_runs() -> None:
    def timed(of: Arm, seconds: float) -> Arm:
        return replace(of, results={q: replace(r, seconds=seconds) for q, r in of.results.items()})

    first = arm("bon", 2, 0, {q: row((1.0, 2.0), (2.0,), (20.0,)) for q in ("a", "b")})
    drawn = sweep_figures([timed(TPO, 5.0), timed(first, 2.0), timed(BON, 3.0)], costs=[SECONDS])
    (figure,) = [each for each in drawn if each.name == "seconds"]
    assert [[(p.x, p.y) for p in each.points] for each in figure.series] == [
        [(2.0, 2.0), (5.0, 5.0)],
        [(2.0, 2.0), (3.0, 1.5)],
    ]


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


def many() -> list[Arm]:
    """Three methods with three N each."""
    return [
        arm(method, n, 1, {"a": row(tuple(map(float, range(n))), (2.0, 5.0), (20.0, 32.0))})
        for method in ("tpo", "revision", "fused")
        for n in (2, 3, 5)
    ]


def test_many_lines_have_a_panel_for_each_method_and_a_color_for_each_n() -> None:
    tokens = by_name(many())["tokens"]
    assert tokens.panels == ("tpo", "revision", "fused")
    lines = [series for series in tokens.in_panel("revision") if not series.dashed]
    assert [(series.name, series.run) for series in lines] == [("N2", 0), ("N3", 1), ("N5", 2)]
    assert sum(series.dashed for series in tokens.in_panel("revision")) == 1
    assert next(figure.title for figure in tokens.split()) == "Reward by tokens: tpo"
    assert by_name([TPO, BON])["tokens"].panels == ("",)


def test_a_figure_with_panels_is_drawn_with_one_legend(tmp_path: Path) -> None:
    save_figures([by_name(many())["tokens"]], tmp_path)
    drawn = (tmp_path / "tokens.svg").read_text()
    assert drawn.count(">N5<") == 1
    assert all(f">{name}<" in drawn for name in ("tpo", "revision", "fused"))
