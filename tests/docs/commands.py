"""Parse the shell commands of the documentation without running them."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import typer.main

from tests.docs.pages import ROOT
from tpo.cli.main import app
from tpo.config import load_axes
from tpo.config.settings import OPTIONS
from tpo.contrib.reference.arguments import parse as parse_reference

TPO: Any = typer.main.get_command(app)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
OTHERS = {
    "serve",
    "vllm",
    "llama-server",
    "ollama",
    "git",
    "cd",
    "cp",
    "mkdir",
    "echo",
    "docker",
    "curl",
    "ls",
    "hf",
    "sed",
}
"""Programs of others, whose arguments are not checked."""
SEVERAL = ("method", "sample_size", "max_iterations", "seed")
"""Settings that take several values, between commas, for ``tpo bench`` and ``tpo sweep``."""
PLACEHOLDERS = {
    "URL": "http://127.0.0.1:8000/v1",
    "P": "--quiet",  # a page's own name for the policy and the reward
    "judge:URL": "judge:http://127.0.0.1:8000/v1",
    "vllm:URL": "vllm:http://127.0.0.1:8001",
}
_VARIABLE = re.compile(r"\$\{?([A-Z]+)\}?")


@dataclass(frozen=True)
class ShellCommand:
    """A command's words, without its environment and redirections."""

    words: tuple[str, ...]
    environment: Mapping[str, str]


def commands(text: str, variables: dict[str, str]) -> Iterator[ShellCommand]:
    """Yield the commands of a shell block; add what it sets to *variables*."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(_without_comment(_filled(line, variables)), posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        for part in _split(list(lexer)):
            own = {}
            rest = part[1:] if part[0] == "export" else part
            while rest and re.match(r"[A-Z_]+=", rest[0]):
                name, _, value = rest.pop(0).partition("=")
                own[name] = value
            variables |= own
            if rest:
                yield ShellCommand(tuple(rest), own)


def check(command: ShellCommand, here: Path) -> None:
    """Fail unless the command exists and takes these arguments."""
    first, *rest = command.words[1:] if command.words[0] == "srun" else command.words
    program = Path(first).name
    if program == "tpo":
        _check_tpo([PLACEHOLDERS.get(word, word) for word in rest], here)
    elif program == "make":
        named = {word for word in rest if "=" not in word}
        assert named <= TARGETS, f"no such make target: {named - TARGETS}"
    elif program in ("python", "python3"):
        _check_python(rest)
    elif program == "pip":
        for extras in re.findall(r"\[([a-z,]+)\]", " ".join(rest)):
            unknown = set(extras.split(",")) - set(PROJECT["optional-dependencies"])
            assert not unknown, f"no such extra: {unknown}"
    else:
        assert program in OTHERS, f"unknown program: {program}"


def _check_tpo(arguments: list[str], here: Path) -> None:
    """Parse *arguments*; check the values of settings as a run does, with *here* as the working directory."""
    with chdir(here):
        context = TPO.make_context("tpo", arguments, resilient_parsing=False)
        name, command, rest = TPO.resolve_command(context, [*context._protected_args, *context.args])
        while isinstance(command, click.Group) or hasattr(command, "commands"):
            context = command.make_context(name, rest, parent=context)
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        if {"-h", "--help"} & set(rest):
            return
        values = command.make_context(name, rest, parent=context).params
        flags = {key: values[key] for key in OPTIONS if values.get(key) not in (None, (), [])}
        several = SEVERAL if arguments[0] in ("bench", "sweep") else ()
        load_axes(flags, {}, values.get("config"), several)


def _check_python(rest: list[str]) -> None:
    if rest[0] == "-m":
        if rest[1].split(".")[0] in ("tests", "benchmarks", "training", "tpo"):
            assert importlib.util.find_spec(rest[1]) is not None, f"no such module: {rest[1]}"
    elif rest[0] == "run.py":
        parse_reference(rest[1:])
    else:
        assert (ROOT / rest[0]).exists(), f"no such script: {rest[0]}"


def _filled(line: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda name: variables.get(name[1], name[0]), line)


def _without_comment(line: str) -> str:
    """Cut a comment off: ``#`` at the start of a word, outside of quotes."""
    return re.sub(r"""((?:[^\s'"#]|'[^']*'|"[^"]*"|(?<=\S)#|\s(?!#))*).*""", r"\1", line)


def _split(words: list[str]) -> Iterator[list[str]]:
    """Split at ``&&``, ``|`` and ``;``; drop redirections."""
    part: list[str] = []
    skip = False
    for word in [*words, ";"]:
        if skip:
            skip = False
        elif word in ("&&", "|", ";", "&"):
            if part:
                yield part
            part = []
        elif word in (">", ">>", "<"):
            skip = True
        else:
            part.append(word)
