"""Every command that the documentation shows exists and takes the arguments shown."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from tests.docs.commands import PROJECT, TPO, check, commands
from tests.docs.pages import LANGUAGES, ROOT, Block, blocks, inline_code
from tpo.cli.options import FORMER_FLAGS
from tpo.contrib.reference.arguments import make_parser
from tpo.errors import ConfigError

FILES = {
    "prompts.jsonl": '{"prompt": "Why?"}\n',
    "scores.py": "def length(messages, response):\n    return len(response)\n",
    "scoring.py": "def short_and_kind(messages, response):\n    return 0.0\n",
    "run.toml": "max_iterations = 2\n",
    "rubric.txt": "Be right.\n",
}
FOREIGN_FLAGS = {
    "AlpacaEval and Arena-Hard": {"--control-features", "--model_outputs"},
    "hf and pip": {"--repo-type", "--no-deps"},
    "Hypothesis": {"--hypothesis-profile"},
    "Slurm": {"--dependency", "--wrap"},
    "llama.cpp": {"--ctx-size", "--parallel"},
    "vLLM and SGLang": {
        "--api-key",
        "--block-size",
        "--enable-deterministic-inference",
        "--enable-mis",
        "--enable-prefix-caching",
        "--is-embedding",
        "--max-num-batched-tokens",
        "--max-num-seqs",
    },
}
"""Options of other programs; every other option that a page names must be one of ours."""
FORMER = set(FORMER_FLAGS)
BARE = {"BadOptionUsage", "MissingParameter", "NoArgsIsHelpError"}
"""Errors of a command or an option that is named without its value."""
UsageError = typer.BadParameter.__mro__[1]
"""The class of all errors of usage; typer exports a subclass only."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documentation")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for name in ("runs/NAME", "runs/tpo", "runs/revision", "runs/bon"):
        (folder / name).mkdir(parents=True)
    return folder


def test_every_block_names_its_language() -> None:
    assert {block.place: block.info for block in blocks() if block.language not in LANGUAGES} == {}


@pytest.mark.parametrize("page", sorted({block.page for block in blocks("bash")}))
def test_every_command_of_the_shell_blocks_is_valid(page: str, here: Path) -> None:
    variables: dict[str, str] = {}
    for block in blocks("bash"):
        if block.page == page:
            for command in commands(block.text, variables):
                check(command, here)


def inline_commands() -> list[Block]:
    ours = (*(f"tpo {name}" for name in TPO.commands), "make ", "python -m ", "pip install ")
    return [code for code in inline_code() if code.text.startswith(ours) and "…" not in code.text]


def test_every_command_within_a_sentence_is_valid(here: Path) -> None:
    wrong = {}
    for code in inline_commands():
        try:
            for command in commands(code.text, {}):
                check(command, here)
        except Exception as error:  # noqa: BLE001 - listed below
            if type(error).__name__ not in BARE:
                wrong[f"{code.place}: {code.text}"] = str(error)
    assert wrong == {}


def options() -> Iterator[str]:
    pending = list(TPO.commands.values())
    while pending:
        command = pending.pop()
        pending += getattr(command, "commands", {}).values()
        yield from (flag for each in command.params for flag in (*each.opts, *each.secondary_opts))
    yield from (flag for action in make_parser()._actions for flag in action.option_strings)
    yield from ("--help", "--version")
    for folder in ("benchmarks", "training", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            yield from re.findall(r'add(?:_argument)?\(\s*"(--[a-z-]+)"', path.read_text("utf-8"))


def test_every_option_within_a_sentence_exists() -> None:
    known = set(options())
    used = {
        (code.page, flag)
        for code in inline_code()
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9_-]+", code.text)
    }
    known |= FORMER.union(*FOREIGN_FLAGS.values())
    assert {(page, flag) for page, flag in used if flag not in known} == set()


def test_every_dotted_name_within_a_sentence_exists() -> None:
    wrong = [
        code.place + " " + code.text
        for code in inline_code()
        if re.fullmatch(r"tpo(\.\w+)+(\(.*\))?", code.text)
        and code.text not in PROJECT["entry-points"]
        and code.page not in ("docs/migration.md", "docs/serve.md")  # former names; keys of a reply
        and not _exists(code.text.partition("(")[0])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "tpo rum prompts.jsonl",
        "tpo run prompts.jsonl --sample-sise 3",
        "tpo run prompts.jsonl -n 0",
        "tpo run prompts.jsonl --policy openai:x",
        "tpo bench run math-500 --methods tpo",
        "make everything",
        "python -m tests.nothing",
        "python run.py --data_path x --mode tpo",
        "pip install 'tpo[everything]'",
        "tpoo run",
    ],
)
def test_a_wrong_command_is_noticed(text: str, here: Path) -> None:
    (command,) = commands(text, {})
    with pytest.raises((AssertionError, SystemExit, UsageError, ConfigError)):
        check(command, here)


def _exists(name: str) -> bool:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for attribute in parts[end:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False
