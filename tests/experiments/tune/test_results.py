"""The record of a choice, and the file that ``--when-needed`` reads."""

import json
from dataclasses import replace
from pathlib import Path

from tests.experiments.sweep.scripted import plan
from tests.experiments.sweep.values import arm, row
from tpo.config import policy_identity, reward_identity
from tpo.experiments.sweep.arms import QueryResult
from tpo.experiments.sweep.costs import TOKENS
from tpo.experiments.tune.choice import choose
from tpo.experiments.tune.configurations import TurningPoint
from tpo.experiments.tune.results import write_tune
from tpo.methods.need import read_need
from tpo.report.statistics import compare_paired
from tpo.types import Candidate, Query, RewardUsage, Score, Step, Timing, Trajectory, user


def recorded(rows: dict[str, QueryResult]) -> dict[str, dict[str, Trajectory]]:
    """Return trajectories with the rewards of *rows*, whose texts are their held-out scores."""
    runs = {}
    for name, of in rows.items():
        pool = (of.first, of.best_of[-1])
        firsts = [Candidate(0, index, str(value), Score(value)) for index, value in enumerate(pool)]
        steps = [
            Step(number, (), (Candidate(number, 0, str(best), Score(best)),))
            for number, best in enumerate(of.best[1:], 1)
        ]
        runs[name] = Trajectory(
            Query(name, (user("?"),)),
            "tpo",
            Step(0, (), tuple(firsts)),
            tuple(steps),
            "finished",
            "max_iterations",
            None,
            {},
            RewardUsage(),
            Timing(0.0, 0.0),
        )
    return {"tpo D1-N2": runs}


QUERIES = [f"q{k}" for k in range(40)]


def test_the_rule_of_the_choice_is_written_for_the_models_that_it_was_measured_with(tmp_path: Path) -> None:
    # Half of the queries gain 4; the others lose 2, so that stopping them is worth more than optimizing all.
    rows = {
        q: row((0.0, k % 2 * 1.0), (1.0, 5.0 if k % 2 else -1.0), (20.0, 60.0)) for k, q in enumerate(QUERIES)
    }
    rows = {q: replace(r, check=r.best, check_best_of=(0.0, 0.5)) for q, r in rows.items()}
    choice = choose([arm("tpo", 2, 1, rows)], TOKENS, recorded(rows), None, lambda query, text: float(text))
    assert choice.chosen.label == "tpo D1-N2 --when-needed"
    of = plan(tmp_path, samples=(2,), check_reward="python:made:held_out")
    record = write_tune(of, choice, None)
    model = read_need(tmp_path / "need.json")
    assert (model.method, model.sample_size, model.queries) == ("tpo D1-N2", 2, 40)
    assert model.policy == json.loads(json.dumps(policy_identity(of.settings)))
    assert model.reward == json.loads(json.dumps(reward_identity(of.settings)))
    flag = record["command"].index("--when-needed")
    assert record["command"][flag + 1] == str(tmp_path / "need.json")
    labels = [each["label"] for each in record["frontier"]]
    assert labels[-1] == choice.chosen.label, "what costs more and scores less is not shown"
    page = (tmp_path / "tune.md").read_text()
    assert "(the choice)" in page
    assert "score: python:made:held_out, which guides nothing" in page


def test_few_queries_get_no_rule(tmp_path: Path) -> None:
    rows = {q: row((0.0, 1.0), (1.0, 5.0), (20.0, 60.0)) for q in QUERIES[:19]}
    choice = choose([arm("tpo", 2, 1, rows)], TOKENS, recorded(rows), None)
    assert (choice.need, choice.chosen.label) == (None, "tpo D1-N2")
    record = write_tune(plan(tmp_path, samples=(2,)), choice, None)
    assert "--when-needed" not in record["command"]
    assert not (tmp_path / "need.json").exists()
    assert "name a --check-reward" in (tmp_path / "tune.md").read_text()


def test_a_held_out_reward_that_missed_a_response_does_not_judge(tmp_path: Path) -> None:
    rows = {q: row((0.0, 1.0), (1.0, 5.0), (20.0, 60.0)) for q in QUERIES[:19]}
    of = plan(tmp_path, samples=(2,), check_reward="python:made:judge")
    record = write_tune(of, choose([arm("tpo", 2, 1, rows)], TOKENS, recorded(rows), None), None)
    assert record["judged_by"] == of.rewards[0]
    assert "python:made:judge did not score every response" in (tmp_path / "tune.md").read_text()


def test_the_p_values_of_turning_points_are_adjusted_for_all_of_them(tmp_path: Path) -> None:
    rows = {q: row((0.0, 1.0, 2.0, 0.5 * k), (2.0, 2.0), (20.0, 60.0)) for k, q in enumerate(QUERIES[:9])}
    choice = choose([arm("tpo", 2, 1, rows)], TOKENS, recorded(rows), None)
    by = TurningPoint("D of tpo N2", 1, compare_paired([1.0, 2.0, 3.0], [0.0, 0.0, 1.0]))
    choice = replace(choice, turning=(by, TurningPoint("N of tpo D1", 2, None), by))
    write_tune(plan(tmp_path, samples=(2,)), choice, None)
    points = json.loads((tmp_path / "tune.json").read_text())["turning_points"]
    assert [each["next"] and each["next"]["p_holm"] for each in points] == [0.5, None, 0.5]
    assert points[0]["next"]["p"] == 0.25
    table = (tmp_path / "tune.md").read_text().partition("| turning point")[2]
    assert "0.5000" in table
    assert "0.2500" not in table
