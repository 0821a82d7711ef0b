"""The command as a shell sees it: help, exit codes, what goes to stdout and what to stderr."""

from __future__ import annotations

import errno
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from aiohttp import web
from typer.testing import CliRunner, Result

from tests.openai_server import OpenAIServer, improving
from tpo.cli.main import ErrorTranslatingGroup, app
from tpo.entry_points import METHODS, POLICIES, REWARDS
from tpo.errors import DataError
from tpo.registry import describe
from tpo.store import read_run

HEAVY = {"torch", "transformers", "aiohttp", "datasets", "pyarrow", "pydantic"}
OURS = {"tpo.config.models", "tpo.config.sources", "tpo.registry", "tpo.runs", "tpo.policies", "tpo.rewards"}
NOTHING_SET = dict.fromkeys(("TPO_CONFIG", "TPO_DEBUG", "TPO_API_KEY", "OPENAI_API_KEY"))
LENGTH = "python:tests.cli.values:length_of"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


def tpo(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin, env=NOTHING_SET)


def prompts(folder: Path, *texts: str) -> Path:
    path = folder / "prompts.json"
    path.write_text(json.dumps(texts))
    return path


def test_help_needs_no_heavy_library() -> None:
    program = "import sys, tpo.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not (HEAVY | OURS) & set(loaded.stdout.split())


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("ask", "-h"), ("export", "-h")])
def test_every_command_has_help(arguments: tuple[str, ...]) -> None:
    result = tpo(*arguments)
    assert result.exit_code == 0
    assert "Usage" in result.output


def _commands(group: Any) -> Iterator[Any]:
    for command in group.commands.values():
        yield command
        yield from _commands(command) if hasattr(command, "commands") else ()


def test_no_line_of_help_breaks_within_a_paragraph() -> None:
    program = typer.main.get_command(app)
    for command in (program, *_commands(program)):
        # The first paragraph is joined; line breaks of the others are kept in a narrow terminal.
        _, *others = inspect.cleandoc(command.help or "").split("\n\n")
        assert [text for text in others if "\n" in text] == [], command.name


def test_help_tells_the_defaults_that_hold() -> None:
    from tpo.config.settings import OPTIONS

    text = " ".join(tpo("run", "--help").output.replace("│", " ").split())
    for name in ("method", "sample_size", "max_iterations", "temperature", "top_p", "seed", "concurrency"):
        default = OPTIONS[name].default
        option = "--" + name.replace("_", "-")
        _, found, after = text.partition(f" {option} ")
        assert found, option
        assert after.partition("[default: ")[2].startswith(f"{default}]"), option


def test_help_of_tune_tells_its_own_defaults() -> None:
    parameters = typer.main.get_command(app).commands["tune"].params  # type: ignore[attr-defined]
    texts = {each.name: getattr(each, "help", "") for each in parameters}
    assert "[default: tpo,revision,fused]" in texts["method"]
    assert "[default: 4]" in texts["max_iterations"]
    assert "[default: 5]" in texts["sample_size"]


@pytest.mark.parametrize("command", [("run",), ("ask",), ("doctor",), ("sweep",), ("bench", "run")])
def test_an_option_has_the_same_name_in_every_command(command: tuple[str, ...]) -> None:
    text = " ".join(tpo(*command, "--help").output.replace("│", " ").split())
    for name in (
        "--policy",
        "--reward",
        "--sample-size -n",
        "--max-iterations -d",
        "--seed",
        "--retry-timeout",
    ):
        assert f" {name} " in text
    assert "--patience" not in text


def test_help_names_every_kind_and_every_method() -> None:
    text = re.sub(r"[│\s]+", "", tpo("run", "--help").output)
    for group in (POLICIES, REWARDS, METHODS):
        assert describe(group).replace(" ", "") in text


def test_a_former_flag_works_and_says_so(server: OpenAIServer, tmp_path: Path) -> None:
    command = ["ask", "hello?", "--policy", server.url, "--reward", LENGTH, "-d", "0", "--quiet"]
    result = tpo(*command, "--patience", 5, "--samples=2")
    assert (result.exit_code, result.stdout) == (0, "Answer 1.\n")
    notes = ["note: --patience is now called --retry-timeout", "note: --samples is now called --sample-size"]
    assert result.stderr.splitlines() == notes
    result = tpo(*command, "--patience", -5)
    assert "--retry-timeout is -5.0; it must be" in result.stderr
    assert (
        tpo("ask", "--quiet", "--policy", server.url, "--reward", LENGTH, "-d", 0, "--", "--patience").stderr
        == ""
    )


def test_a_function_is_a_policy_on_the_command_line() -> None:
    result = tpo("ask", "hi", "--policy", "python:tests.cli.values:shout", "--reward", LENGTH, "-d", 0, "-q")
    assert (result.exit_code, result.stdout) == (0, "HI\n")


def test_an_edited_function_is_refused_with_its_name(tmp_path: Path) -> None:
    program = "import sys; from tpo.cli.main import main; sys.argv[0] = 'tpo'; main()"
    command: list[Any] = [sys.executable, "-c", program, "run", prompts(tmp_path, "a"), "-d", 0, "-q"]
    command += ["--policy", "python:mine:say", "--reward", "python:mine:score", "--out", tmp_path / "out"]
    results = []
    for worth in (1, 2):
        body = f"def say(*_):\n    return 'x'\ndef score(*_):\n    return {worth}\n"
        (tmp_path / "mine.py").write_text(body)
        line = [str(each) for each in command]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        results.append((done.returncode, done.stderr))
    assert results[0][0] == 0, results
    assert results[1][0] == 2
    assert "reward python:mine:score: its source file was edited after the run began" in results[1][1]


def test_the_version_is_told() -> None:
    result = tpo("--version")
    assert (result.exit_code, result.output.split()[0]) == (0, "tpo")


def test_a_mistake_is_one_sentence_and_no_traceback() -> None:
    result = tpo("run", "nowhere/[red].jsonl")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: nowhere/[red].jsonl: no such file")
    assert len(result.stderr.splitlines()) == 1


def test_debug_shows_the_error_itself() -> None:
    result = tpo("run", "nowhere.jsonl", "--debug")
    assert isinstance(result.exception, DataError)


def raising(error: OSError) -> Result:
    program = typer.Typer(cls=ErrorTranslatingGroup, pretty_exceptions_enable=False)

    @program.callback()
    def group() -> None:
        pass

    @program.command()
    def fail() -> None:
        raise error

    return CliRunner().invoke(program, ["fail"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "error: No space left on device\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), "error: a: No space left on device\n"),
    ],
)
def test_an_error_of_the_system_is_one_sentence(error: OSError, said: str) -> None:
    result = raising(error)
    assert (result.exit_code, result.stderr) == (2, said)


@pytest.mark.parametrize(
    "error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError("the text of a library alone")]
)
def test_a_closed_pipe_and_an_error_without_a_reason_are_passed_on(error: OSError) -> None:
    result = raising(error)
    assert (result.exit_code, result.stderr) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--policy", "http://127.0.0.1:1/v1"], "name a reward too"),
        (["run", "--sample-size", "0"], "--sample-size is 0"),
        (["run", "--method", "nope"], "--method nope"),
        (["run", "--reward", "judge:h"], "write the server's URL"),
        (["ask", "x", "--policy", "gpt", "--reward", "tiny"], "--policy gpt: unknown"),
        (["run", "--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_wrong_options_are_refused_with_code_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out")] if arguments[0] == "run" else []
    result = tpo(*arguments, *out)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_a_reward_that_is_not_there_leaves_no_run_behind(server: OpenAIServer, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = tpo(
        "run", prompts(tmp_path, "a"), "--policy", server.url, "--reward", f"{LENGTH}x", "--out", out
    )
    assert result.exit_code == 2
    assert "has no 'length_ofx'" in result.stderr
    assert not out.exists()


def test_an_option_for_a_key_does_not_exist() -> None:
    assert tpo("run", "--api-key", "sk-1").exit_code == 2


def test_a_run_over_a_server_ends_well_and_again(server: OpenAIServer, tmp_path: Path) -> None:
    command: list[Any] = ["run", prompts(tmp_path, "a", "b"), "--policy", server.url, "--reward", LENGTH]
    command += ["-n", 2, "-d", 1, "--out", tmp_path / "out"]
    result = tpo(*command)
    assert result.exit_code == 0, result.stderr
    assert "2 queries finished" in result.stdout
    assert "policy " + server.url + " (scripted)" in result.stderr
    asked = len(server.requests)
    assert tpo(*command).exit_code == 0
    assert len(server.requests) <= asked + 1  # the check that asks for the model's name


def test_a_failed_query_gives_code_1(tmp_path: Path) -> None:
    def picky(body: dict[str, Any], index: int) -> str:
        if body["messages"][0]["content"] == "b":
            raise web.HTTPBadRequest(text='{"error": {"message": "too hard"}}')
        return improving(body, index)

    with OpenAIServer(picky) as server:
        result = tpo(
            "run", prompts(tmp_path, "a", "b"), "--policy", server.url, "--reward", LENGTH,
            "-n", 1, "-d", 0, "--out", tmp_path / "out",
        )  # fmt: skip
    assert result.exit_code == 1
    assert "1 query finished, 1 failed" in result.stdout
    assert "too hard" in result.stdout


@pytest.mark.parametrize(("kind", "code"), [("server", 3), ("reward", 4)])
def test_a_run_without_any_answer_tells_by_its_code_what_failed_and_quietly_why(
    kind: str, code: int, tmp_path: Path
) -> None:
    def refuse(body: dict[str, Any], index: int) -> str:
        if kind == "server" and body["messages"][0]["content"] != "Hello":  # the check
            raise web.HTTPBadRequest(text='{"error": {"message": "too hard"}}')
        return "odd"

    reward = LENGTH if kind == "server" else "python:tests.cli.scores:picky"
    with OpenAIServer(refuse) as server:
        result = tpo(
            "run", prompts(tmp_path, "a", "b"), "--policy", server.url, "--reward", reward,
            "-n", 1, "-d", 0, "--out", tmp_path / "out", "-q",
        )  # fmt: skip
    assert result.exit_code == code
    assert read_run(tmp_path / "out").totals["failure_kinds"] == {kind: 2}
    assert ("too hard" if kind == "server" else "picky raised KeyError: 'score'") in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_ask_gives_the_answer_alone_on_stdout(server: OpenAIServer) -> None:
    result = tpo("ask", "hello?", "--policy", server.url, "--reward", LENGTH, "-n", 3, "-d", 1)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "An improved answer, number 2!!\n"
    for words in ("First samples", "chosen", "Step 1: gradient", "After: 1.2"):
        assert words in result.stderr


def test_ask_says_that_the_method_had_no_effect() -> None:
    result = tpo("ask", "hi", "--policy", "python:tests.cli.values:shout", "--reward", LENGTH, "-d", 1, "-q")
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "warning: no update could be read in 1 of 1 query (0 of 5 updates were readable)" in said


def test_ask_without_quotes_hints_at_them() -> None:
    result = tpo("ask", "what", "is", "it?", "--policy", "tiny", "--reward", "tiny")
    assert result.exit_code == 2
    assert "put the question in quotes" in " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())


def test_ask_reads_the_question_from_stdin(server: OpenAIServer) -> None:
    command = ["ask", "-", "--policy", server.url, "--reward", LENGTH, "-n", 1, "-d", 0, "--quiet"]
    result = tpo(*command, stdin="from a pipe\n")
    assert (result.stdout, result.stderr) == ("Answer 0\n", "")
    assert server.requests[-1]["messages"] == [{"role": "user", "content": "from a pipe"}]
    assert tpo(*command, stdin=" \n").exit_code == 2


def test_a_run_is_exported(server: OpenAIServer, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tpo(
        "run", prompts(tmp_path, "a", "b"), "--policy", server.url, "--reward", LENGTH,
        "-n", 2, "-d", 1, "--out", out,
    )  # fmt: skip
    for shape, file in (("results", "results.jsonl"), ("reference", "reference.json"), ("logs", "logs.json")):
        result = tpo("export", out, "--format", shape)
        assert result.exit_code == 0, result.stderr
        assert result.stderr == f"2 queries written to {out / file}\n"
        assert (out / file).stat().st_size > 0
    assert tpo("export", tmp_path / "none").exit_code == 2


def test_a_log_message_cannot_steer_the_terminal(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps({"id": "\x1b]0;mine\x07", "prompt": "Hi."}) + "\n")
    models = ("--policy", "python:tests.cli.values:shout", "--reward", LENGTH)
    check = ("--check-reward", "python:tests.cli.values:fails_but_at_the_probe")
    command = ["run", str(data), *models, *check, "-d", "0", "-n", "2", "-q", "--out", str(tmp_path / "out")]
    start = [sys.executable, "-c", "from tpo.cli.main import main; main()"]
    done = subprocess.run([*start, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "has no check score" in done.stderr
    assert "\x1b" not in done.stderr
