import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report import runs
from tests.steps import first_step
from tests.store.values import trajectory
from tpo.report.change_figures import change_figures
from tpo.report.collector import run_figures
from tpo.report.comparison import compare_all
from tpo.report.distribution_figures import distribution_figures
from tpo.report.drift_figures import drift_figures
from tpo.report.figure_files import save_figures
from tpo.report.figures import Figure, Point, Series
from tpo.report.line_figures import RunMeasures, line_figures
from tpo.report.measures import QueryMeasures, measure
from tpo.runs import summarize
from tpo.store import read_trajectories
from tpo.types import Candidate, Phase, Step, Usage, user


def measured(path: Path, number: int = 0) -> RunMeasures:
    return RunMeasures(path.name, number, [measure(t) for t in read_trajectories(path)])


def named(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def test_the_curves_agree_with_the_summary_that_the_terminal_shows(tmp_path: Path) -> None:
    path = runs.ordinary(tmp_path / "run", 12)
    summary = summarize(path)
    found = named(line_figures([measured(path)]))
    training = found["training-curve"].series[0].points
    pool = found["best-of-pool"].series[0].points
    assert [p.y for p in training] == pytest.approx([s.samples_mean for s in summary.by_step])
    assert [p.y for p in pool] == pytest.approx([s.best_mean for s in summary.by_step])
    for point in (*training, *pool):
        assert point.low is not None
        assert point.high is not None
        assert point.low <= point.y <= point.high


def test_a_query_that_stopped_early_keeps_its_best_and_draws_no_more() -> None:
    whole, short = trajectory("a", reward=4.0), replace(trajectory("b"), steps=())
    found = named(line_figures([RunMeasures("run", 0, [measure(whole), measure(short)])]))
    assert [p.y for p in found["best-of-pool"].series[0].points] == [0.0, 2.0]  # (4 + 0) / 2
    assert [(p.y, p.queries) for p in found["training-curve"].series[0].points] == [(-0.5, 2), (4.0, 1)]


def drawn(usage: dict[Phase, Usage]) -> Step:
    return first_step(trajectory("a").initial, usage["sample"])


def test_tokens_count_the_critique_and_best_of_n_its_share_of_the_samples() -> None:
    usage: dict[Phase, Usage] = {
        "sample": Usage(1, 10, 0, 40),
        "loss": Usage(1, 30, 0, 5),
        "update": Usage(1, 50, 0, 20),
    }
    one = measure(replace(trajectory("a", reward=2.0), first=drawn(usage), usage=usage))
    own, best_of_n = named(line_figures([RunMeasures("run", 0, [one])]))["reward-tokens"].series
    assert [(p.x, p.y) for p in own.points] == [(50.0, 0.0), (155.0, 2.0)]
    # Samples -1 and 0: the best of one is -0.5 for the prompt and half of what was written.
    assert [(p.x, p.y) for p in best_of_n.points] == [(30.0, -0.5), (50.0, 0.0)]
    assert best_of_n.dashed
    usage["sample"] = Usage(2, 10, 0, 40)  # a request and a prompt for each sample
    one = measure(replace(trajectory("a", reward=2.0), first=drawn(usage), usage=usage))
    _, best_of_n = named(line_figures([RunMeasures("run", 0, [one])]))["reward-tokens"].series
    assert [p.x for p in best_of_n.points] == [25.0, 50.0]


def test_best_of_n_pays_for_each_query_s_own_samples_blank_ones_too() -> None:
    usage: dict[Phase, Usage] = {"sample": Usage(1, 10, 0, 40)}
    full = measure(replace(trajectory("a"), first=drawn(usage), usage=usage))
    (step,) = full.steps[:1]
    blank = replace(full, query="b", steps=(replace(step, rewards=step.rewards[1:]), *full.steps[1:]))
    run = RunMeasures("run", 0, [full, blank])
    _, best_of_n = named(line_figures([run]))["reward-tokens"].series
    # Half of each query's samples cost its prompt and half of what was written; one reward of "b" is 0.
    assert [(p.x, p.y) for p in best_of_n.points] == [(30.0, -0.25), (50.0, 0.0)]


def test_best_of_n_is_drawn_once_for_runs_whose_first_samples_are_alike(tmp_path: Path) -> None:
    few = measured(runs.ordinary(tmp_path / "few", 4, samples=3))
    many = measured(runs.ordinary(tmp_path / "many", 4, method="bon", samples=9, iterations=0), 1)
    alike = [RunMeasures(run.name, run.number, run.measures, "the same") for run in (few, many)]
    dashed = [s for s in named(line_figures(alike))["reward-samples"].series if s.dashed]
    assert [(s.name, len(s.points)) for s in dashed] == [("best-of-n (many)", 9)]


def test_gains_and_answer_steps_are_shares_of_queries(tmp_path: Path) -> None:
    found = named(distribution_figures([measured(runs.ordinary(tmp_path / "run", 12))]))
    for name in ("gains", "answer-step"):
        assert sum(p.y for p in found[name].series[0].points) == pytest.approx(1.0)


def test_best_of_n_alone_has_no_gains_to_draw(tmp_path: Path) -> None:
    run = measured(runs.ordinary(tmp_path / "bon", 3, method="bon", iterations=0))
    assert [figure.name for figure in distribution_figures([run])] == ["answer-step"]


def test_runs_are_compared_on_what_both_answered() -> None:
    asked_else = replace(trajectory("c"), query=replace(trajectory("c").query, messages=(user("other"),)))
    first = [measure(t) for t in (trajectory("a", reward=3.0), trajectory("b", reward=1.0), asked_else)]
    second = [measure(t) for t in (trajectory("b", reward=2.0), trajectory("c"), trajectory("d"))]
    (comparison,) = compare_all([RunMeasures("x", 0, first), RunMeasures("y", 1, second)])
    assert comparison.paired is not None
    assert (comparison.paired.queries, comparison.paired.difference.value) == (1, -1.0)
    assert comparison.other_question == 1


def test_p_is_adjusted_for_all_comparisons() -> None:
    steady = [numbered(f"run {n}", n, dict.fromkeys("abcdefg", float(n))) for n in range(3)]
    other = numbered("other", 3, {"z": 1.0})
    (alone,) = compare_all(steady[:2])
    assert alone.paired is not None
    # Seven queries that all differ: two of the 128 ways to swap are as far apart.
    assert alone.paired.p == pytest.approx(2 / 128)
    several = compare_all([*steady, other])
    assert [c.paired.p for c in several if c.paired is not None] == [pytest.approx(6 / 128)] * 3
    assert sum(c.paired is None for c in several) == 3


def test_runs_without_a_query_in_common_are_not_compared() -> None:
    runs_ = [RunMeasures("x", 0, [measure(trajectory("a"))]), RunMeasures("y", 1, [measure(trajectory("b"))])]
    assert compare_all(runs_)[0].paired is None


def test_every_figure_is_a_drawing_in_three_forms_with_its_numbers(tmp_path: Path) -> None:
    figure = Figure(
        "curve", "A $title$", "caption", "step", "reward", "line",
        (Series("run _x^{2$", 0, (Point(0, 1.0, 0.5, 1.5, 9), Point(1, 2.0))),), (("base", 1.25),),
    )  # fmt: skip
    bars = replace(figure, name="bars", kind="bars", baselines=())
    paths = save_figures(
        [figure, bars, replace(bars, name="histogram", kind="histogram", width=1.0)], tmp_path / "f"
    )
    assert len(paths) == 12
    starts = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF", ".csv": b"series"}
    for path in paths:
        assert path.read_bytes().startswith(starts[path.suffix])
    assert "run _x^{2$" in (tmp_path / "f/curve.svg").read_text()
    with (tmp_path / "f/curve.csv").open(newline="") as file:
        assert list(csv.reader(file))[1:] == [
            ["run _x^{2$", "0", "1.0", "0.5", "1.5", "9"],
            ["run _x^{2$", "1", "2.0", "", "", ""],
            ["base", "", "1.25", "", "", ""],
        ]


def test_a_figure_drawn_twice_is_the_same_file(tmp_path: Path) -> None:
    figure = Figure("a", "t", "c", "x", "y", "line", (Series("s", 0, (Point(0, 1.0),)),))
    for place in ("one", "two"):
        save_figures([figure], tmp_path / place)
    for form in ("svg", "png", "pdf", "csv"):
        assert (tmp_path / f"one/a.{form}").read_bytes() == (tmp_path / f"two/a.{form}").read_bytes()


def numbered(name: str, number: int, answers: dict[str, float], reward: str = "guide") -> RunMeasures:
    measures = [measure(trajectory(query, reward=value)) for query, value in answers.items()]
    return RunMeasures(name, number, measures, reward=reward, reward_name=reward)


def test_runs_are_drawn_on_the_queries_that_all_of_them_finished() -> None:
    easy, hard = {"a": 1.0, "b": 1.0, "c": 1.0}, {"d": -9.0, "e": -9.0}
    runs_ = [numbered("whole", 0, easy | hard), numbered("part", 1, easy)]
    pool = named(run_figures(runs_))["best-of-pool"]
    assert [[p.y for p in series.points] for series in pool.series] == [[0.0, 1.0], [0.0, 1.0]]
    assert [series.points[-1].queries for series in pool.series] == [3, 3]
    assert "On the 3 of 5 queries that all of these runs finished." in pool.caption
    alone = named(run_figures(runs_[:1]))["best-of-pool"]
    assert [p.queries for p in alone.series[0].points] == [5, 5]
    assert "queries that all" not in alone.caption


def test_a_run_that_has_hardly_begun_does_not_shrink_the_others() -> None:
    whole = numbered("whole", 0, dict.fromkeys("abcdef", 1.0))
    begun = numbered("begun", 1, {"a": 1.0, "b": 1.0})
    pool = named(run_figures([whole, begun]))["best-of-pool"]
    assert [(s.name, s.points[-1].queries) for s in pool.series] == [("whole", 6)]
    assert "begun has finished only 2 queries and is not drawn." in pool.caption
    followed = named(run_figures([whole, begun], min_share=0.0))["best-of-pool"]
    assert [s.points[-1].queries for s in followed.series] == [2, 2]


def test_runs_of_different_rewards_are_neither_drawn_together_nor_compared() -> None:
    first = [numbered("x", 0, {"a": 1.0}), numbered("y", 1, {"a": 2.0})]
    other = numbered("z", 2, {"a": 1330.0}, reward="characters")
    found = named(run_figures([*first, other], (("paper", 1.5),)))
    assert [s.name for s in found["best-of-pool-reward1"].series] == ["x", "y"]
    assert [s.name for s in found["best-of-pool-reward2"].series] == ["z"]
    assert found["best-of-pool-reward2"].title == "Best of the pool, reward characters"
    assert found["best-of-pool-reward1"].baselines == (("paper", 1.5),)
    assert found["best-of-pool-reward2"].baselines == ()  # the number is of the first run's reward
    assert [(c.first, c.second) for c in compare_all([*first, other])] == [(0, 1)]


def test_the_legend_lies_beside_the_axes_and_hides_no_point(tmp_path: Path) -> None:
    dots = (Point(0, 1.0), Point(1, 2.0))
    series = tuple(Series(f"a rather long name of run {n}", n, dots) for n in range(6))
    save_figures([Figure("a", "t", "c", "x", "y", "line", series)], tmp_path)
    drawing = (tmp_path / "a.svg").read_text()
    legend = re.search(r'id="legend_1">(.*?)</g>', drawing, re.DOTALL)
    axes = re.search(r'id="axes_1">.*?<path d="(.*?)"', drawing, re.DOTALL)
    assert legend is not None
    assert axes is not None
    heights = [float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", legend[1])]
    assert min(heights) > max(float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", axes[1]))


def rewarded(query: str, *steps: tuple[float, ...]) -> QueryMeasures:
    """Measures of a query whose steps have these rewards."""
    whole = measure(trajectory(query))
    return replace(whole, steps=tuple(replace(whole.steps[0], rewards=rewards) for rewards in steps))


def test_the_change_is_taken_from_the_first_samples_of_each_query() -> None:
    run = RunMeasures("weak", 0, [rewarded("a", (1.0, 3.0), (1.0,)), rewarded("b", (5.0,), (2.0,))])
    change = named(change_figures([run]))["change"]
    assert [p.y for p in change.series[0].points] == [0.0, -2.0]
    assert change.baselines == (("first samples", 0.0),)


def test_stability_is_the_deviation_of_a_steps_samples_by_query() -> None:
    several = [rewarded("a", (0.0, 2.0), (1.0, 1.0)), rewarded("b", (0.0, 4.0), (1.0, 2.0))]
    run = RunMeasures("run", 0, [*several, rewarded("c", (9.0, 1.0), (3.0,))])
    points = named(change_figures([run]))["stability"].series[0].points
    assert [p.queries for p in points] == [2, 2]
    assert [p.y for p in points] == pytest.approx([(2**0.5 + 8**0.5) / 2, 0.5**0.5 / 2])


def test_the_check_reward_is_drawn_where_a_run_has_one() -> None:
    one = trajectory("a", reward=2.0)
    plain = RunMeasures("plain", 0, [measure(one)])
    first, better = one.first.candidates, one.steps[0].candidates[0]
    assert better.score is not None
    best = max(first, key=lambda c: c.reward)
    marks = {best.id: 7.0, better.id: 3.0}
    checked = replace(
        one,
        first=replace(one.first, candidates=tuple(_with_check(c, marks.get(c.id)) for c in first)),
        steps=(replace(one.steps[0], candidates=(_with_check(better, 3.0),)),),
    )
    found = named(drift_figures([plain, RunMeasures("checked", 1, [measure(checked)])]))
    assert found.keys() == {"check-reward"}
    (series,) = found["check-reward"].series
    assert (series.run, [(p.x, p.y, p.queries) for p in series.points]) == (1, [(0, 7.0, 1), (1, 3.0, 1)])


def test_the_check_reward_of_a_query_that_stopped_stays_in_the_mean() -> None:
    long, short = measure(trajectory("a", reward=2.0)), measure(trajectory("b", reward=2.0))
    long = replace(long, steps=tuple(replace(step, best_check=0.0) for step in long.steps))
    short = replace(short, steps=(replace(short.steps[0], best_check=10.0),))
    (figure,) = drift_figures([RunMeasures("run", 0, [long, short])])
    (series,) = figure.series
    assert [(p.y, p.queries) for p in series.points] == [(5.0, 2), (5.0, 2)]


def _with_check(candidate: Candidate, check: float | None) -> Candidate:
    assert candidate.score is not None
    return replace(candidate, score=replace(candidate.score, check=check))
