"""Bad input on the real command line: one clear sentence and an exit code each, and no traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port
from typer.testing import CliRunner, Result

from tests.doctor.server import Habits, ModelServer
from tpo import cli
from tpo.cli.main import app
from tpo.store import read_trajectories

LENGTH = "python:tests.cli.values:length_of"
NOTHING_SET = dict.fromkeys(("TPO_CONFIG", "TPO_DEBUG", "TPO_API_KEY", "OPENAI_API_KEY"))


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def tpo(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], env=NOTHING_SET)


def run(data: Path, server: ModelServer, *more: object, reward: str = LENGTH) -> Result:
    out = data.parent / "out"
    return tpo("run", data, "--policy", server.url, "--reward", reward, "-n", 2, "-d", 1, "--out", out, *more)


def row(text: str, **more: object) -> str:
    return json.dumps({"prompt": text} | more) + "\n"


def written(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


GOOD = "".join(row(f"question {number}") for number in range(36))
NO_USER = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda folder: folder / "none.jsonl", "none.jsonl: no such file"),
        (lambda folder: folder, "is a folder"),
        (written("empty.jsonl", ""), "empty.jsonl: holds no query"),
        (written("empty.csv", ""), "empty.csv"),
        (written("empty.json", ""), "empty.json"),
        (written("bad.jsonl", GOOD + '{"prompt": "cut\n' + row("after")), "bad.jsonl:37"),
        (written("bad.jsonl", GOOD + '"text"\n[1]\n'), "bad.jsonl:38"),
        (written("latin.jsonl", (GOOD + row("x")[:-3] + "é").encode("latin-1") + b'"}\n'), "UTF-8"),
        (written("wide.csv", "prompt\nhello\n".encode("utf-16")), "UTF-8"),
        (written("twice.jsonl", row("a", id="q7") + row("b", id="q7")), "twice.jsonl:2"),
        (written("turns.jsonl", NO_USER + "\n"), "turns.jsonl:1"),
        (written("turns.jsonl", json.dumps({"messages": []}) + "\n"), "turns.jsonl:1"),
        (written("turns.jsonl", row("")), "turns.jsonl:1"),
        (written("data.xlsx", "PK"), "unknown kind of file"),
    ],
)
def test_data_that_cannot_be_read_is_refused_before_anything_is_made(
    write: Callable[[Path], Path], words: str, server: ModelServer, tmp_path: Path
) -> None:
    asked = len(server.requests)
    result = run(write(tmp_path), server)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()
    assert all(body["max_tokens"] == 16 for body in server.requests[asked:])  # a check of the server


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("not_a_number", "must return a finite number; it returned nan"),
        ("nothing", "must return a finite number; it returned None"),
        ("failing", "failing raised KeyError: 'score'"),
    ],
)
def test_a_reward_without_a_number_fails_its_query_alone(
    name: str, words: str, server: ModelServer, tmp_path: Path
) -> None:
    data = written("prompts.jsonl", row("even") + row("odd") + row("even again"))(tmp_path)
    result = run(data, server, reward=f"python:tests.cli.scores:{name}")
    assert result.exit_code == 1
    assert words in " ".join(result.stdout.split()), result.stdout
    assert "2 queries finished, 1 failed" in result.stdout
    assert "Traceback" not in result.output


def test_a_query_of_a_megabyte_works_where_the_server_reads_it(tmp_path: Path) -> None:
    data = written("long.jsonl", row("word " * 200_000))(tmp_path)
    with ModelServer(Habits(context=None)) as server:
        result = run(data, server)
    assert result.exit_code == 0, result.output
    assert len(result.output) < 10_000


def test_a_query_of_a_megabyte_fails_with_its_reason_where_it_does_not_fit(tmp_path: Path) -> None:
    data = written("long.jsonl", row("word " * 200_000) + row("short"))(tmp_path)
    with ModelServer(Habits(context=4096)) as server:
        result = run(data, server)
    assert result.exit_code == 1
    assert "1 query finished, 1 failed" in result.stdout
    assert "4,096" in result.stdout
    assert len(result.output) < 10_000


def test_another_configuration_is_refused_with_what_differs(server: ModelServer, tmp_path: Path) -> None:
    data = written("prompts.jsonl", row("a"))(tmp_path)
    assert run(data, server).exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    result = run(data, server, "--seed", 8, "--temperature", 0.5)
    assert result.exit_code == 2
    assert "holds a run of another configuration" in result.stderr
    for words in ("seed: 7 there, 8 now", "temperature: 0.7 there, 0.5 now", "--fresh"):
        assert words in result.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    data.write_text(row("b"))
    changed = run(data, server)
    assert changed.exit_code == 2
    assert "query 'q0': its messages or its reference have changed since" in changed.stderr
    data.write_text(row("a") + row("b"))
    assert run(data, server).exit_code == 0
    assert [each.query.id for each in read_trajectories(tmp_path / "out")] == ["q0", "q1"]


def test_more_iterations_continue_a_complete_run(server: ModelServer, tmp_path: Path) -> None:
    data = written("prompts.jsonl", row("a"))(tmp_path)
    assert run(data, server).exit_code == 0
    assert run(data, server, "-d", 2).exit_code == 0
    assert [len(each.steps) for each in read_trajectories(tmp_path / "out")] == [2]
    fewer = run(data, server)
    assert fewer.exit_code == 2
    assert "max_iterations: 2 there, 1 now; iterations can be added, not taken away" in fewer.stderr


def test_a_directory_that_is_no_run_s_is_refused(server: ModelServer, tmp_path: Path) -> None:
    data = written("prompts.jsonl", row("a"))(tmp_path)
    (tmp_path / "out").write_text("")
    result = run(data, server)
    assert result.exit_code == 2
    assert "cannot use" in result.stderr
    (tmp_path / "out").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("{")
    assert run(data, server).exit_code == 2
    assert "is damaged" in run(data, server).stderr


@pytest.mark.parametrize("command", [("report",), ("export",), ("repair",), ("run",), ("view",)])
def test_a_path_that_the_system_refuses_is_one_sentence(command: tuple[str, ...]) -> None:
    path = "n" * 300
    result = tpo(*command, path)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert path in result.stderr


def test_names_in_what_is_printed_steer_no_terminal(server: ModelServer, tmp_path: Path) -> None:
    data = written("prompts.jsonl", row("a"))(tmp_path)
    assert run(data, server).exit_code == 0
    odd = (tmp_path / "out").rename(tmp_path / "out\x1b[2J\u202e")
    for result in (tpo("export", odd), tpo("report", odd), tpo("repair", odd)):
        assert result.exit_code == 0, result.output
        assert not {"\x1b", "\u202e"} & set(result.output)


def test_the_program_prints_names_through_one_function() -> None:
    sources = [path for path in Path(cli.__file__).parent.glob("*.py") if path.name != "escape.py"]
    printed = [line for path in sources for line in path.read_text().splitlines() if "typer.echo(" in line]
    data_for_programs = {"typer.echo(for_reader(", "typer.echo(as_json(fou"}
    assert {line.strip()[:22] for line in printed} == data_for_programs


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ('{"nonsense": 1}', "--stop nonsense: unknown"),
        ('{"tests.nowhere:Rule": 1}', "no module 'tests.nowhere'"),
        ('{"target_reward": "x"}', "--stop target_reward: the rule does not accept 'x'"),
        ('{"target_reward": NaN}', "a target reward of nan: it must be a number"),
        ('{"plateau": "x"}', "--stop plateau: the rule does not accept 'x'"),
        ("nonsense", '--stop: it must be a JSON object, such as {"NAME": VALUE}'),
    ],
)
def test_a_wrong_stopping_rule_is_refused_before_the_run_directory_is_made(
    rules: str, words: str, server: ModelServer, tmp_path: Path
) -> None:
    result = run(written("prompts.jsonl", row("a"))(tmp_path), server, "--stop", rules)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_judge_that_cannot_be_reached_is_told_before_the_run_directory_is_made(
    server: ModelServer, tmp_path: Path
) -> None:
    judge = f"http://127.0.0.1:{unused_port()}"
    options = ("--select", "tournament", "--select-judge", judge)
    result = run(written("prompts.jsonl", row("a"))(tmp_path), server, *options)
    assert result.exit_code == 2
    assert f"judge: no server answers at {judge}" in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_critic_that_is_not_there_is_told_by_its_option(server: ModelServer, tmp_path: Path) -> None:
    result = run(written("prompts.jsonl", row("a"))(tmp_path), server, "--critic", "python:json:nope")
    assert result.exit_code == 2
    assert "--critic policy python:json:nope: json has no 'nope'" in " ".join(result.stderr.split())


def test_names_between_colons_do_not_become_emoji(server: ModelServer, tmp_path: Path) -> None:
    result = run(written("rows:m:x.jsonl", row("a"))(tmp_path), server)
    assert result.exit_code == 0, result.output
    assert "rows:m:x.jsonl" in result.stderr
