"""The options of commands, made from the definition of the settings, in the groups that ``--help`` shows.

A flag that is not given is None: its value comes from the environment, a file or the defaults. This module
imports nothing heavy, so that ``--help`` is quick.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperCommand, TyperOption

from tpo.config.option import NO_URL, Setting, flag_of, is_url_path
from tpo.config.settings import DATA, FORMER, METHOD, MODELS, OPTIONS, RUNNING, SAMPLING, SCALE

DEBUG = "tpo.debug"
"""Key in a context's ``meta`` that requests tracebacks."""

SWEPT = ("method", "sample_size", "max_iterations", "seed")
"""Settings that take several values in ``tpo sweep``, which runs their product with the rewards."""
TUNED = ("method", "sample_size")
"""Settings that take several values in ``tpo tune``."""
TUNE_DEFAULTS: Mapping[str, Any] = {"method": ("tpo", "revision", "fused"), "max_iterations": 4}
"""Default values of ``tpo tune`` that are its own."""

ONE_REWARD = OPTIONS["reward"].option.help.removesuffix(" Repeat it for an ensemble.")
"""Help of ``--reward`` where several are no ensemble."""

FORMER_FLAGS = {flag_of(old): flag_of(new) for old, new in FORMER.items()} | {
    "--samples": "--sample-size",
    "--iterations": "--max-iterations",
    "--seeds": "--seed",
}
"""Flags that have been renamed; they still work and say so."""


@dataclass(frozen=True, slots=True)
class Given:
    """Settings that a command line gives: *flags*, None if not given, and the file *config*.

    *defaults* are those of the command, where they are not the settings' own.
    """

    flags: Mapping[str, Any]
    config: Path | None
    defaults: Mapping[str, Any] = field(default_factory=dict)


class Command(TyperCommand):
    """A command that takes former names of its flags, with a note on stderr, and lists what is registered."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help, with the kinds of models and the methods that there are."""
        from tpo.registry import describe  # on demand: it imports the kinds

        for each in self.params:
            group = OPTIONS[each.name].option.group if each.name in OPTIONS else None
            if group is not None and isinstance(each, TyperOption):
                each.help = (each.help or "").replace("{kinds}", describe(group))
        super().format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse *args* under the current names."""
        known = {flag for each in self.params for flag in each.opts}
        end = args.index("--") if "--" in args else len(args)
        flags = _with_bare_values([_current(each, known) for each in args[:end]])
        return super().parse_args(ctx, [*flags, *args[end:]])


def with_settings(
    *,
    without: Collection[str] = (),
    several: Collection[str] = (),
    scale: bool = False,
    texts: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of the settings; the function gets them as its parameter ``given``.

    Args:
        without: settings that the command does not take.
        several: settings that take many values, by commas.
        scale: whether the command takes the options for several machines.
        texts: help texts where a setting means something else for the command.
        defaults: default values that are the command's own.
    """
    own_defaults = defaults or {}
    taken = {
        name: replace(each, default=own_defaults.get(name, each.default))
        for name, each in OPTIONS.items()
        if name not in without and (scale or each.option.panel != SCALE)
    }

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())
        parameters = [
            _parameter(each, name in several, (texts or {}).get(name)) for name, each in taken.items()
        ]
        parameters += [each.replace(kind=each.KEYWORD_ONLY) for each in own if each.name != "given"]
        parameters += [_keyword("config", Config, None), _keyword("debug", Debug, default=False)]

        @wraps(function)
        def command(**values: Any) -> None:
            del values["debug"]  # used where errors are translated
            flags = {name: values.pop(name) for name in taken}
            function(given=Given(flags, values.pop("config"), own_defaults), **values)

        command.__signature__ = inspect.Signature(_by_panel(parameters))  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate


def parse_path(text: str | Path) -> Path:
    """Return the path that *text* names; an empty one would be the working directory.

    Raises:
        typer.BadParameter: it is empty, or a URL.
    """
    if not str(text).strip():
        raise typer.BadParameter("is empty; name a path (. is the working directory)")
    if is_url_path(text):
        raise typer.BadParameter(NO_URL)
    return Path(text)


def option(setting: Setting, *, several: bool = False, text: str | None = None) -> Any:
    """Return typer's option for *setting*."""
    given = setting.option
    metavar = f"{given.metavar},..." if several else given.metavar
    parser = parse_path if setting.value_type is Path and not several else None
    return typer.Option(
        setting.flag,
        *([given.short] if given.short else []),
        parser=parser,
        metavar=metavar,
        help=_help(text or given.help + (" Several by commas." if several else ""), setting.default_text),
        rich_help_panel=given.panel,
    )


def _help(text: str, default: str) -> str:
    """Return *text* with the default; the backslash keeps the bracket out of markup."""
    return f"{text} [dim]\\[default: {default}][/dim]" if default else text


def _parameter(setting: Setting, several: bool, text: str | None) -> inspect.Parameter:
    kind = str if several else setting.flag_type
    return _keyword(setting.name, Annotated[kind | None, option(setting, several=several, text=text)], None)


def _keyword(name: str, annotation: Any, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _by_panel(parameters: Sequence[inspect.Parameter]) -> list[inspect.Parameter]:
    """Sort *parameters* by panel: arguments, the settings' panels, a command's own, and last how it runs."""
    order = [None, MODELS, METHOD, SAMPLING, DATA]
    panels = [getattr(get_args(each.annotation)[-1], "rich_help_panel", None) for each in parameters]
    order += [each for each in dict.fromkeys(panels) if each not in (*order, RUNNING)]
    order += [RUNNING]
    return [parameters[i] for i in sorted(range(len(parameters)), key=lambda i: order.index(panels[i]))]


def _current(argument: str, known: Collection[str]) -> str:
    """Return *argument* with a former flag replaced, and say so."""
    flag, equals, value = argument.partition("=")
    new = FORMER_FLAGS.get(flag)
    if new is None or new not in known or flag in known:
        return argument
    from tpo.cli.escape import echo

    echo(f"note: {flag} is now called {new}", err=True)
    return f"{new}{equals}{value}"


def _with_bare_values(args: Sequence[str]) -> list[str]:
    """Return *args* with the value of each flag that may be given without one."""
    bare = {each.flag: each.option.bare for each in OPTIONS.values() if each.option.bare is not None}
    following = [*args, "-"][1:]
    return [
        f"{each}={bare[each]}" if each in bare and after.startswith("-") else each
        for each, after in zip(args, following, strict=False)
    ]


def _remember(ctx: typer.Context, wanted: bool) -> bool:
    ctx.meta[DEBUG] = wanted
    return wanted


Quiet = Annotated[bool | None, option(OPTIONS["quiet"])]
Fresh = Annotated[bool, typer.Option("--fresh", help="Delete the existing run first.", rich_help_panel=DATA)]
Config = Annotated[
    Path | None,
    typer.Option(
        parser=parse_path,
        metavar="FILE.toml",
        envvar="TPO_CONFIG",
        show_envvar=False,
        help="File of options. Flags take precedence over TPO_... variables, and these over the file.",
        rich_help_panel=RUNNING,
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        envvar="TPO_DEBUG",
        show_envvar=False,
        callback=_remember,
        help="Show errors with their traceback.",
        rich_help_panel=RUNNING,
    ),
]
