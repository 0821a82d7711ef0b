import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.openai_server import OpenAIServer
from tpo.cli.bench_session import seeds_of
from tpo.cli.main import app
from tpo.experiments.bench.registry import benchmark_names, load_benchmark
from tpo.rewards.judge import reward as judge_reward

DATA = Path(__file__).parents[1] / "experiments" / "bench" / "data"


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["bench", *map(str, arguments)])
    return result.exit_code, re.sub(r"\s+", " ", result.output)


def run(server: OpenAIServer, out: Path, *more: object, name: str = "beavertails") -> tuple[int, str]:
    reward = ("--reward", "python:tests.experiments.bench.scripted:length")
    shape = ("-n", 2, "-d", 1, "--no-page", "--out", out)
    data = ("--data", DATA / f"{name.replace('-', '_')}.jsonl")
    return call("run", name, "--policy", server.url, *reward, *data, *shape, *more)


def test_the_list_tells_sizes_and_licences_of_all() -> None:
    code, said = call("list")
    assert code == 0
    for name in benchmark_names():
        assert f"| {name} " in said
        assert load_benchmark(name).hub.spec in said
    shown = CliRunner().invoke(app, ["bench", "list"]).output.splitlines()
    assert max(map(len, shown)) <= 100
    assert "CC BY-NC 4.0" in said


def test_ids_are_printed_for_a_repetition() -> None:
    code, said = call("ids", "xstest", "--data", DATA / "xstest.jsonl")
    assert (code, said.split()) == (0, [str(number) for number in range(1, 9)])


def test_a_benchmark_runs_against_a_server_and_goes_on_without_it(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        code, said = run(server, tmp_path / "out", "--method", "tpo,bon", "--limit", 4)
        assert code == 0, said
        assert "# BeaverTails: scripted" in said
        assert "4 of 8 queries were used, stratified by category" in said
        asked = len(server.requests)
        assert run(server, tmp_path / "out", "--method", "tpo,bon", "--limit", 4)[0] == 0
        assert len(server.requests) - asked <= 1  # which model it serves is asked for, and nothing else
    record = json.loads((tmp_path / "out/results.json").read_text())
    assert record["policy"] == "scripted"
    assert [method["method"] for method in record["methods"]] == ["tpo D1-N2", "bon D0-N2"]


def test_the_check_rewards_server_gets_its_own_key_and_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TPO_REWARD_API_KEY", "guide")
    monkeypatch.setenv("TPO_CHECK_API_KEY", "check")
    keys: list[str | None] = []
    built = judge_reward.reward_clients  # type: ignore[attr-defined]  # where it is used

    def clients(urls: Any, key: str | None, **more: Any) -> Any:
        keys.append(key)
        return built(urls, key, **more)

    monkeypatch.setattr(judge_reward, "reward_clients", clients)
    rubric = tmp_path / "rubric.txt"
    rubric.write_text("Is it kind to llamas?")
    with OpenAIServer() as server:
        judge = ("--check-reward", f"judge:{server.url}", "--rubric", rubric, "--votes", 1)
        run(server, tmp_path / "out", *judge, "--limit", 1, "--retry-timeout", 0)
        assert any("kind to llamas" in json.dumps(request) for request in server.requests)
        prompts = tmp_path / "prompts.json"
        prompts.write_text('["Why?"]')
        models = ("--policy", server.url, "--reward", "python:tests.experiments.bench.scripted:length")
        shape = ("-n", 2, "-d", 0, "--method", "bon", "--out", tmp_path / "sweep", "--retry-timeout", 0)
        words = [str(word) for word in (prompts, *models, *judge, *shape)]
        CliRunner().invoke(app, ["sweep", *words])
    assert keys == ["check", "check"]


def test_a_held_out_reward_that_nothing_is_called_is_refused_before_any_call(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        code, said = run(server, tmp_path / "out", "--check-reward", "foo")
        assert (code, "--check-reward foo: unknown" in said) == (2, True)
        assert server.requests == []


def test_a_judge_behind_a_server_grades_and_is_named(tmp_path: Path) -> None:
    with OpenAIServer() as server, OpenAIServer(lambda body, index: '{"refusal": false}') as judge:
        code, said = run(server, tmp_path, "--judge", f"{judge.url}#gpt-9", name="xstest")
    assert code == 0, said
    assert "Judge: gpt-9." in said
    assert "not the paper's judge" in said


def test_seeds_are_listed_or_counted(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        assert run(server, tmp_path, "--seed", "3,9", "--no-grade", name="xstest")[0] == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "tpo-d1-n2-seed3",
        "tpo-d1-n2-seed9",
    ]
    assert seeds_of((7,), 3) == [7, 8, 9]


def test_answers_first_and_grades_later(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        code, said = run(server, tmp_path, "--no-grade", name="xstest")
        assert (code, (tmp_path / "results.json").exists()) == (0, False)
        assert "without --no-grade grades" in said
    code, said = run(server, tmp_path, name="xstest")
    assert (code, (tmp_path / "results.json").exists()) == (0, True), said
    assert "no server answers" in said
    assert "# XSTest: scripted" in said


def test_answers_of_the_default_directory_are_graded_without_their_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rest = ("--reward", "python:tests.experiments.bench.scripted:length", "-n", 2, "-d", 1, "--no-page")
    with OpenAIServer() as server:
        command = ("run", "xstest", "--policy", server.url, "--data", DATA / "xstest.jsonl", *rest)
        assert call(*command, "--no-grade")[0] == 0
        assert call(*command, "--no-grade", "--model", "other")[0] == 0
    code, said = call(*command)
    assert (code, "name the model of the answers: --model NAME" in said) == (2, True)
    assert call(*command, "--model", "scripted")[0] == 0
    assert (tmp_path / "runs/bench-xstest-scripted/results.json").exists()
    assert not (tmp_path / "runs/bench-xstest-other/results.json").exists()
    shutil.rmtree(tmp_path / "runs/bench-xstest-other")
    assert call(*command)[0] == 0


def test_a_server_that_does_not_answer_ends_a_benchmark_without_answers(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        pass
    code, said = run(server, tmp_path, name="xstest")
    assert (code, "no server answers" in said, "--model" in said) == (2, True, False)


def test_the_model_of_another_policys_answers_is_not_taken(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        assert run(server, tmp_path, "--no-grade", name="xstest")[0] == 0
    with OpenAIServer() as other:
        pass
    assert run(other, tmp_path, name="xstest")[0] == 2


def test_a_held_out_reward_is_named_on_the_command_line(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        made = "python:tests.experiments.bench.scripted"
        code, said = run(server, tmp_path, "--check-reward", f"{made}:words")
        same = run(server, tmp_path / "same", "--check-reward", f"{made}:length")
    assert code == 0, said
    assert "held-out reward" in said
    assert same[0] == 2
    assert "must not guide a run" in " ".join(same[1].split())


def test_results_of_several_stand_in_one_table(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        assert run(server, tmp_path / "a")[0] == 0
        assert run(server, tmp_path / "b", name="xstest")[0] == 0
    code, said = call("table", tmp_path / "a", tmp_path / "b")
    assert code == 0
    assert "| policy | BeaverTails mean\\_reward | XSTest accuracy |".replace("\\", "") in said
    assert "scripted + tpo D1-N2" in said
    code, said = call("table", tmp_path / "a", "--format", "latex")
    assert r"\begin{tabular}" in said


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--paper", "-n", "3"], "the paper's shapes are D2-N5 and D5-N20"),
        (["--paper", "--temperature", "1"], "--temperature is 0.7 there"),
        (["--paper", "--method", "tpo"], "--method tpo is not the paper's"),
        (["--paper", "--seed", "8"], "--seed is 7 there"),
        (["--paper", "--method", "textgrad", "--seed", "8"], "--seed is 7 there"),
        (["--method", "bon,bon"], "would run twice"),
        (["--method", "magic"], "--method magic: unknown"),
        (["--judge", "gpt-9"], "--judge gpt-9: use a server's URL"),
        (["--grader-option", "x"], "must be NAME=VALUE"),
        (["--grader-option", "x=1"], "has no such option"),
        (["--data", "nowhere.jsonl"], "no such file"),
        (["--baseline", "x.jsonl"], "--baseline: beavertails"),
        (["--limit", "0"], "--limit is 0"),
        (["--seed", "1,2", "--repeats", "2"], "--repeats counts up from one --seed"),
        (["--seed", "1,x"], "--seed is 'x'"),
    ],
)
def test_what_would_give_a_wrong_number_is_refused_in_one_sentence(more: list[str], why: str) -> None:
    file = DATA / "beavertails.jsonl"
    code, said = call("run", "beavertails", "--policy", "tiny", "--data", file, *more)
    assert code == 2
    assert why in said
    assert "Traceback" not in said


def test_an_unknown_benchmark_and_results_that_are_not_there_are_told(tmp_path: Path) -> None:
    code, said = call("run", "mmlu")
    assert (code, "benchmark mmlu: unknown; there are" in said) == (2, True)
    code, said = call("table", tmp_path)
    assert (code, "contains no results.json" in said) == (2, True)
    (tmp_path / "results.json").write_text("{}")
    assert call("table", tmp_path)[0] == 2
    assert call("table", tmp_path, "--format", "html")[0] == 2
