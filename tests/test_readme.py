"""What the README and the page on the library show is run as it stands there."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest

from tpo.config.settings import OPTIONS

ROOT = Path(__file__).parents[1]


def first_example(page: str) -> str:
    block = re.search(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    assert block is not None
    return block.group(1)


def model(messages: list[dict[str, str]], temperature: float, seed: int) -> str:
    asked = messages[-1]["content"]
    text = f"waves, {temperature} and {seed % 97}"
    return f"<improved_response>{text}</improved_response>" if "improved_response" in asked else text


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_the_example_of_the_library_runs_in_a_dozen_lines(
    page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = first_example(page)
    assert len([line for line in source.splitlines() if line.strip()]) <= 14
    names: dict[str, Any] = {"my_model": model, "my_scorer": lambda question, response: len(response)}
    exec(compile(source, page, "exec"), names)  # noqa: S102 - our own page
    assert names["trajectory"].status == "finished"
    assert len(names["trajectory"].pool) == 15
    assert capsys.readouterr().out.startswith("waves, 0.7 and ")


def test_every_page_that_is_linked_is_there() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+\.(?:md|json|png|svg))\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_stands_in_the_sites_contents() -> None:
    contents = (ROOT / "zensical.toml").read_text("utf-8")
    missing = [p.name for p in (ROOT / "docs").glob("*.md") if f'"{p.name}"' not in contents]
    assert missing == []


def test_the_options_that_the_readme_names_exist() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    known = {f"--{name.replace('_', '-')}" for name in OPTIONS} | {"--config", "--format"}
    commands = re.findall(r"^tpo (?:run|ask|export).*$", text, re.MULTILINE)
    assert commands
    used = {option for command in commands for option in re.findall(r"--[a-z-]+", command)}
    assert used <= known


def test_the_example_of_a_whole_data_set_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "library.md").read_text("utf-8")
    source = next(
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "tpo.run(" in block
    )
    names: dict[str, Any] = {"my_model": model, "my_scorer": lambda question, response: len(response)}
    with contextlib.chdir(tmp_path):
        exec(compile(source, "docs/library.md", "exec"), names)  # noqa: S102 - our own page
    assert names["run"].summary.finished == len(names["table"]) == 2
    assert "q1 " in capsys.readouterr().out


def test_the_changelog_has_each_heading_once_per_version_and_no_line_twice() -> None:
    for version in (ROOT / "CHANGELOG.md").read_text("utf-8").split("\n## ")[1:]:
        lines = [line for line in version.splitlines() if line.startswith(("### ", "- "))]
        assert [line for line in lines if lines.count(line) > 1] == []
