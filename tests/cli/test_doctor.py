"""``tpo doctor`` as a shell sees it."""

from __future__ import annotations

import inspect
import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner, Result

from tests.doctor.server import Habits, ModelServer
from tpo.cli.checklist import Checklist
from tpo.cli.doctor import doctor
from tpo.cli.main import app
from tpo.cli.run import run_data
from tpo.doctor import Finding

LENGTH = ("--reward", "python:tests.cli.values:length_of")
KEY = "sk-very-secret"


def tpo(*arguments: object, key: str | None = None) -> Result:
    environment = dict.fromkeys(("TPO_CONFIG", "TPO_DEBUG", "OPENAI_API_KEY")) | {"TPO_API_KEY": key}
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)], env=environment)


def test_it_takes_the_options_of_a_run() -> None:
    mine, its = (set(inspect.signature(command).parameters) for command in (doctor, run_data))
    assert its - mine == {"fresh"}
    prices = {"price_in", "price_out", "price_cached", "role_price", "currency"}
    assert mine - its == {"golden", "json"} | prices


def test_a_run_that_would_work_gives_code_0_and_a_plain_list(tmp_path: Path) -> None:
    data = tmp_path / "prompts.jsonl"
    data.write_text("".join(f'{{"prompt": "question {i}"}}\n' for i in range(30)))
    with ModelServer() as server:
        result = tpo("--data", data, "--policy", server.url, *LENGTH, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"✓  data: {data} has 30 queries; the longest has 11 characters"
    assert any(line.startswith("✓  estimate: 30 queries will take 210 model calls") for line in lines)
    assert lines[-1].startswith("A run would work")
    assert not (tmp_path / "out").exists()


def test_a_run_that_would_not_work_gives_code_1_and_says_why() -> None:
    result = tpo("--policy", "http://127.0.0.1:1/v1", *LENGTH)
    assert result.exit_code == 1
    assert "✗  server: no server answers at http://127.0.0.1:1/v1" in result.stdout
    assert "   → start the server, or correct --policy" in result.stdout
    assert "A run would not work" in result.stdout
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "nope"], "--method nope"),
        (["--sample-size", "0"], "--sample-size is 0"),
        (["--policy", "gpt", *LENGTH], "--policy gpt: unknown"),
        (["--policy", "http://h"], "name a reward too"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_wrong_options_give_code_2_and_one_sentence(arguments: list[str], words: str) -> None:
    result = tpo(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert (result.stdout, len(result.stderr.splitlines())) == ("", 1)


def test_json_is_one_object_and_nothing_else() -> None:
    with ModelServer(Habits(takes_n=False)) as server:
        result = tpo("--policy", server.url, *LENGTH, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["works"], result.stderr) == (0, True, "")
    n = next(finding for finding in told["findings"] if finding["check"] == "n")
    assert n["status"] == "warning"
    assert n["values"] == {"calls": 2}
    down = tpo("--policy", "http://127.0.0.1:1/v1", *LENGTH, "--json")
    assert (down.exit_code, json.loads(down.stdout)["works"]) == (1, False)


def test_text_of_a_server_does_not_steer_the_terminal() -> None:
    with ModelServer(Habits(models=("[red]m\x1b[2J",))) as server:
        result = tpo("--policy", server.url, *LENGTH)
    assert "[red]m" in result.stdout
    assert "\x1b" not in result.output


@pytest.mark.parametrize("more", [(), ("--json",), ("--debug",)])
def test_a_key_is_never_shown(more: tuple[str, ...]) -> None:
    with ModelServer(Habits(key="sk-another")) as server:
        result = tpo("--policy", server.url, *LENGTH, *more, key=KEY)
    assert result.exit_code == 1
    assert "TPO_API_KEY" in result.stdout
    assert KEY not in result.output


def test_quiet_still_says_what_would_stop_a_run(tmp_path: Path) -> None:
    with ModelServer() as server:
        result = tpo("--policy", server.url, *LENGTH, "--quiet", "--data", str(tmp_path / "none.jsonl"))
    assert result.exit_code == 1
    assert "none.jsonl: no such file" in result.stdout
    assert "A run would not work" in result.stdout


def test_quiet_says_the_verdict_alone() -> None:
    with ModelServer() as server:
        result = tpo("--policy", server.url, *LENGTH, "--quiet")
    assert result.output.splitlines() == [result.stdout.strip()]
    assert result.stdout.startswith("A run would work")


def test_a_terminal_without_the_signs_gets_others() -> None:
    text = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    Checklist(Console(file=text)).tell(Finding("n", "failure", "[b]naïve[/b]", "mend"))
    text.seek(0)
    assert text.read() == "X  n: [b]na\\xefve[/b]\n   -> mend\n"


def test_on_a_narrow_terminal_lines_hang_under_their_mark() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=24, no_color=True, legacy_windows=False)
    Checklist(console).tell(Finding("n", "warning", "one sample a request, so to say", "mend it if you can"))
    lines = [line.rstrip() for line in Text.from_ansi(text.getvalue()).plain.splitlines()]
    assert lines == ["!  n: one sample a", "   request, so to say", "   → mend it if you can"]
