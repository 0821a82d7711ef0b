"""Win rates against best-of-n by a scripted judge."""

import asyncio
import json
from collections.abc import Collection
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.experiments.sweep.scripted import carried_out, execute, models, plan, trajectories
from tests.rewards.judge.judge_server import JudgeServer
from tpo.cli.main import app
from tpo.errors import RewardError, RewardRefused, StoreError
from tpo.experiments.winrate import WinRate, win_rates, write_win_rates
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.judge.comparison import PairComparison
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Query


class Judge:
    """Prefers the longer text, and counts what it is asked."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.failure = failure

    async def comparison(self, query: Query, first: str, second: str) -> PairComparison:
        self.asked.append((query.id, first, second))
        if self.failure is not None and query.id == "q0":
            raise self.failure
        return PairComparison(0.9 if len(first) > len(second) else 0.2)


def runs(out: Path) -> tuple[Path, Path]:
    """Return a run of TPO and a pool of 4 first samples, over 3 queries."""
    of = plan(out, methods=("tpo", "bon"), samples=(4,))
    carried_out(of)
    tpo, bon = of.cells
    assert len(trajectories(of, bon)[0].initial) == 4
    return of.path(tpo), of.path(bon)


async def win_rates_with_blanks(tmp_path: Path, blanks: Collection[int], judge: Judge) -> list[WinRate]:
    """Return the win rates against 4 samples, longer and better by index; those of *blanks* are blank."""
    of = plan(tmp_path / "runs", methods=("tpo", "bon"), samples=(4,), queries=1)
    texts = ["0", "1!", "2!!", "3!!!"]
    policy = ScriptedPolicy(lambda _, index: " " if index in blanks else texts[index])
    other = plan(tmp_path / "pools", methods=("bon",), samples=(4,), queries=1)
    await execute(of, models(of))
    await execute(other, models(other, policy, dict.fromkeys(other.rewards, ScriptedReward(len))))
    run, pool = of.path(of.cells[0]), other.path(other.cells[0])
    return await win_rates(run, pool, judge, (2, 4), tmp_path / "kept.jsonl")


async def test_a_blank_sample_counts_among_the_first_n(tmp_path: Path) -> None:
    judge = Judge()
    found = await win_rates_with_blanks(tmp_path, {1}, judge)
    assert [(each.n, each.queries, each.unjudged) for each in found] == [(2, 1, 0), (4, 1, 0)]
    assert [other for _, _, other in judge.asked] == ["0", "3!!!"]


async def test_a_query_whose_first_n_samples_are_blank_is_not_judged(tmp_path: Path) -> None:
    judge = Judge()
    found = await win_rates_with_blanks(tmp_path, {0, 1}, judge)
    assert [(each.n, each.queries, each.unjudged) for each in found] == [(2, 0, 1), (4, 1, 0)]
    assert (found[0].rate, [other for _, _, other in judge.asked]) == (None, ["3!!!"])


def rates(tmp_path: Path, judge: Judge, sizes: tuple[int, ...] = (2, 4)) -> list[WinRate]:
    run, pool = runs(tmp_path / "runs")
    return asyncio.run(win_rates(run, pool, judge, sizes, tmp_path / "kept.jsonl"))


def test_each_answer_is_compared_with_the_best_of_the_first_n(tmp_path: Path) -> None:
    judge = Judge()
    found = rates(tmp_path, judge)
    assert [(each.n, each.queries, each.unjudged) for each in found] == [(2, 3, 0), (4, 3, 0)]
    of = plan(tmp_path / "runs", methods=("tpo", "bon"), samples=(4,))
    answers = {t.query.id: t.best for t in trajectories(of, of.cells[0])}
    pools = {t.query.id: t.initial for t in trajectories(of, of.cells[1])}
    values = []
    for query, best in answers.items():
        other = max(pools[query][:2], key=lambda each: each.reward)
        assert best is not None
        values.append(0.5 if best.text == other.text else 0.9 if len(best.text) > len(other.text) else 0.2)
    assert found[0].rate is not None
    assert found[0].rate.value == pytest.approx(sum(values) / 3)


def test_comparisons_are_kept(tmp_path: Path) -> None:
    first = rates(tmp_path, Judge())
    again = Judge()
    run, pool = tmp_path / "runs/runs", None
    of = plan(tmp_path / "runs", methods=("tpo", "bon"), samples=(4,))
    run, pool = (of.path(cell) for cell in of.cells)
    assert asyncio.run(win_rates(run, pool, again, (2, 4), tmp_path / "kept.jsonl")) == first
    assert again.asked == []


def test_another_judge_does_not_use_the_comparisons(tmp_path: Path) -> None:
    run, pool = runs(tmp_path / "runs")
    kept, judges = tmp_path / "kept.jsonl", {"a": Judge(), "b": Judge()}
    for name in ("a", "b", "a"):
        asyncio.run(win_rates(run, pool, judges[name], (4,), kept, identity=(name, "")))
    assert judges["a"].asked == judges["b"].asked != []


def win_rate_of(url: str, run: Path, pool: Path, *more: str) -> tuple[int, str]:
    options = ["--judge", url, "--best-of", "4", "--no-figures", *more]
    done = CliRunner().invoke(app, ["winrate", str(run), str(pool), *options])
    return done.exit_code, done.output


def test_the_command_asks_each_judge_and_checks_it_first(tmp_path: Path) -> None:
    run, pool = runs(tmp_path / "runs")
    with (
        JudgeServer(reply=lambda body, number: "A") as one,
        JudgeServer(reply=lambda body, number: "A", model="other") as other,
        JudgeServer(reply=lambda body, number: "A") as moved,
    ):
        for server in (one, other):
            assert win_rate_of(server.url, run, pool)[0] == 0
        assert len(one.bodies) == len(other.bodies) > 0
        other.model = "another"
        assert win_rate_of(other.url, run, pool)[0] == 0
        assert len(other.bodies) == 2 * len(one.bodies)
        named = ("--judge-model", one.model)
        for server in (one, moved):
            assert win_rate_of(server.url, run, pool, *named)[0] == 0
        assert len(one.bodies) == len(other.bodies)
        assert moved.bodies == []
        written = (run / "winrate/winrate.json").read_text()
        assert json.loads(written)["judge"] == one.model
        gone = JudgeServer(listing_status=401)
        with gone:
            assert win_rate_of(gone.url, run, pool)[0] != 0
        assert gone.bodies == []
    assert (run / "winrate/winrate.json").read_text() == written


def test_a_run_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    code, output = win_rate_of("http://127.0.0.1:1", tmp_path / "typo", tmp_path)
    assert code == 2
    assert "no such directory" in " ".join(output.split())
    assert not (tmp_path / "typo").exists()


def test_what_the_judge_refuses_is_left_out_and_a_wrong_key_ends_it(tmp_path: Path) -> None:
    found = rates(tmp_path, Judge(RewardError("unreadable")), (4,))
    assert found[0].queries + found[0].unjudged == 3
    with pytest.raises(RewardRefused):
        rates(tmp_path / "other", Judge(RewardRefused("no key")))


def test_a_pool_that_is_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="best-of-9 needs more"):
        rates(tmp_path, Judge(), (9,))


def test_the_rates_are_written_as_a_table_and_a_figure(tmp_path: Path) -> None:
    found = rates(tmp_path, Judge())
    record = write_win_rates(tmp_path / "out", Path("runs/tpo"), Path("runs/bon"), "judge|x", found)
    assert "best-of-4" in record["table"]
    assert json.loads((tmp_path / "out/winrate.json").read_text())["judge"] == "judge|x"
    assert (tmp_path / "out/winrate.svg").exists()
