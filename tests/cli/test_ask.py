"""The question of ``tpo ask`` and its first line."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tpo.cli.ask import _loading
from tpo.cli.main import app
from tpo.config import Settings

MODELS = ("--policy", "python:tests.cli.values:shout", "--reward", "python:tests.cli.values:length_of")
ASK = ("ask", "-", *MODELS, "-d", "0", "--quiet")


def test_ask_says_which_models_it_loads_and_markup_in_their_names_stays_text() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)
    console.print(_loading(Settings(policy=("hf:[bold]org/model",), reward=("tiny",))))
    assert console.file.getvalue().strip() == "loading policy hf:[bold]org/model, reward tiny"  # type: ignore[attr-defined]


def test_a_question_on_standard_input_is_utf8() -> None:
    answered = CliRunner().invoke(app, ASK, input="\ufeffgrüße\r\nan Åsa\r\n".encode())
    assert (answered.exit_code, answered.stdout) == (0, "GRÜSSE\nAN ÅSA\n")
    refused = CliRunner().invoke(app, ASK, input=b"caf\xe9")
    assert refused.exit_code == 2, refused.output
    assert "standard input is not UTF-8" in refused.stderr
    argument = CliRunner().invoke(app, ["ask", "caf\udce9", *ASK[2:]])
    assert argument.exit_code == 2, argument.output
    assert "the question is not UTF-8" in argument.stderr


@pytest.mark.parametrize(
    ("redirection", "words"),
    [('< "$QUESTION"', "standard input is not UTF-8"), ("<&-", "there is no question")],
)
def test_what_is_no_text_on_standard_input_is_refused_in_every_locale(
    redirection: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "question").write_bytes(b"caf\xe9")
    program = [sys.executable, "-c", "from tpo.cli.main import main; main()", *ASK]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C", "QUESTION": str(tmp_path / "question")},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.split())
