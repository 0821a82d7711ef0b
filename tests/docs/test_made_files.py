"""Files that are made from other files are up to date, and the first example succeeds."""

from __future__ import annotations

import re
import shlex

from typer.testing import CliRunner

from tests.ask_picture import PICTURE
from tests.docs.pages import ROOT
from tests.notebook import NOTEBOOK, PAGE, notebook
from tpo.cli.ask import EXAMPLES, QUESTION
from tpo.cli.main import app

FACTS = ("To: Omar", "Event: hike", "Day: Sunday", "Time: 9am", "Place: lake", "From: Lily")
"""What the first example asks for."""


def test_the_first_example_answers_what_was_asked() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    command = re.search(r'^(?:\.venv/bin/)?tpo (ask "[^"]+".*?)(?:  #.*)?$', readme, re.MULTILINE)
    assert command is not None
    words = shlex.split(command[1])
    assert words[1] == QUESTION
    assert all(fact.lower().replace(":", "") in QUESTION.lower() for fact in FACTS)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert [fact for fact in FACTS if fact not in result.stdout] == []


def test_the_first_example_is_the_same_everywhere() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    for text in (EXAMPLES, index, PAGE.read_text("utf-8"), (ROOT / "docs" / "cli.md").read_text("utf-8")):
        assert QUESTION in text
    shown = PICTURE.read_text("utf-8").replace("&#160;", " ")
    assert all(detail in shown for detail in QUESTION.split(", "))
    assert "Place: lake" in shown


def test_the_notebook_is_the_tutorial() -> None:
    assert NOTEBOOK.read_text("utf-8") == notebook(), "run python -m tests.notebook"
