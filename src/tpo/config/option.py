"""One definition of an option: flag, environment variable, TOML key, help text, range and documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

PREFIX = "TPO_"

NO_URL = (
    "name a path, not a URL: object stores have no append and no locks. Use a local or shared file system, "
    "and copy the files afterwards; DATA may be a URL"
)


def is_url_path(path: str | Path) -> bool:
    """Return whether *path* is the URL of a store of files, such as ``s3://BUCKET/NAME``."""
    # A Path has one slash where a URL has two.
    return re.match(r"[a-z][a-z0-9+.-]+:/", str(path)) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """Description of an option, apart from its name, type and default value.

    Attributes:
        help: what it sets, with the unit; ``{kinds}`` stands for what is registered in *group*.
        group: the group of entry points that it names one of.
        panel: the group in which ``--help`` shows it.
        metavar: what stands for the value in ``--help``.
        default: the default in words, where it is not the default value itself.
        short: a one-letter flag, such as ``-n``.
        bare: the value of a flag that is given without one.
        former: earlier names, which still work and say so.
        ge, gt, le: the range.
        docs: what the documentation adds, in Markdown.
    """

    help: str
    panel: str
    metavar: str | None = None
    default: str | None = None
    short: str | None = None
    bare: str | None = None
    former: tuple[str, ...] = ()
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    group: str | None = None
    docs: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of the settings."""

    name: str
    type: Any
    """As declared, without the option."""
    default: Any
    option: Option = field(repr=False)

    @property
    def flag(self) -> str:
        """The flag: ``--sample-size``."""
        return flag_of(self.name)

    @property
    def variable(self) -> str:
        """The environment variable: ``TPO_SAMPLE_SIZE``."""
        return variable_of(self.name)

    @property
    def value_type(self) -> Any:
        """The type of a value that is given: as declared, without None."""
        given = [kind for kind in get_args(self.type) if kind is not type(None)]
        return given[0] if type(None) in get_args(self.type) else self.type

    @property
    def flag_type(self) -> Any:
        """The type that the command line parses; it leaves the rest to the check that all sources share."""
        if get_origin(self.value_type) is tuple:
            return list[str]
        return self.value_type if self.value_type in (int, float, bool, Path) else str

    @property
    def default_text(self) -> str:
        """The default in words; empty if there is nothing to say."""
        if self.option.default is not None:
            return self.option.default
        if self.default in (None, ()) or isinstance(self.default, bool | dict):
            return ""
        if isinstance(self.default, tuple):
            return ",".join(map(str, self.default))
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that may be given, if they are listed."""
        return get_args(self.value_type) if get_origin(self.value_type) is Literal else ()


def flag_of(name: str) -> str:
    """Return the flag of the option *name*."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """Return the environment variable of the option *name*."""
    return PREFIX + name.upper()


def read_options(cls: type) -> Mapping[str, Setting]:
    """Return the fields of the dataclass *cls* whose types are annotated with an :class:`Option`."""
    hints = get_type_hints(cls, include_extras=True)
    found = {}
    for each in fields(cls):
        declared, option = get_args(hints[each.name])
        default = each.default if each.default_factory is MISSING else each.default_factory()
        found[each.name] = Setting(each.name, declared, default, option)
    return found
