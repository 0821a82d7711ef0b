"""Flags before environment before a TOML file, each checked where it stands: an error names its place."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tpo.config.names import check_names, check_policies
from tpo.config.settings import CONCURRENCY, TINY, TINY_MAX_TOKENS, Settings
from tpo.errors import ConfigError

PREFIX = "TPO_"
NO_SETTINGS = frozenset({"api_key", "reward_api_key", "config", "debug"})
"""What the environment may hold under our prefix beside settings."""

SECRETS = frozenset({"reward_api_key", "api_key", "key", "token", "openai_api_key", "tpo_api_key"})

Values = dict[str, Any]


def load_settings(
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    file: Path | None = None,
) -> Settings:
    """The settings that *flags*, *environment* and *file* make together, in this order of precedence.

    A flag that is None was not given.

    Raises:
        ConfigError: a file cannot be read, a key is unknown, a value has the wrong type or range, or the
            values do not go together.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    merged = _from_file(file) | _from_environment(environment) | _check(given, _flag)
    settings = Settings(**_complete(merged))
    check_names(settings)
    return settings


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _from_environment(environment: Mapping[str, str]) -> Values:
    """The variables that are settings; an empty one counts as not set, as is usual in shells."""
    ours = {n.removeprefix(PREFIX).lower(): v for n, v in environment.items() if n.startswith(PREFIX) and v}
    known = {name: value for name, value in ours.items() if name in Settings.model_fields}
    for name in sorted(ours.keys() - known.keys() - NO_SETTINGS):
        # Others may use our prefix for their own ends; a near miss is a slip of the pen.
        near = get_close_matches(name, Settings.model_fields, n=1, cutoff=0.8)
        if near:
            raise ConfigError(f"{_variable(name)}: no such setting; did you mean {_variable(near[0])}?")
    return _check(known, _variable, from_text=True)


def _from_file(file: Path | None) -> Values:
    if file is None:
        return {}
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"--config {file}: cannot be read: {reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"--config {file}: not valid TOML: {error}") from error
    values = {name.replace("-", "_"): value for name, value in table.items()}
    for name in values:
        _known(name, file)
    return _check(values, lambda name: f"{file}: {name}")


def _known(name: str, file: Path) -> None:
    if name in Settings.model_fields:
        return
    if name.lower() in SECRETS:
        raise ConfigError(f"{file}: {name}: keys come from the environment only; set TPO_API_KEY there")
    near = get_close_matches(name, Settings.model_fields, n=1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(Settings.model_fields)}"
    raise ConfigError(f"{file}: {name}: no such setting; {advice}")


def _check(values: Values, place: Callable[[str], str], from_text: bool = False) -> Values:
    """*values* in their own types; an error names the *place* that its setting has in this source."""
    read = Settings.model_validate_strings if from_text else Settings.model_validate
    try:
        checked = read(values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, place)) from None
    return {name: getattr(checked, name) for name in checked.model_fields_set}


def _sentence(error: ValidationError, place: Callable[[str], str]) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    rule = first["msg"].removeprefix("Value error, ").replace("Input should", "must")
    rule = f"it {rule.partition(', unable to')[0]}" if rule.startswith("must") else rule
    name = str(first["loc"][0])
    if name == "policy_extra":  # it is not repeated: what was meant for it may hold a key
        return f"{place(name)}: {rule}"
    return f"{place(name)} is {_short(first['input'])}; {rule}"


def _short(value: object, width: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _complete(values: Values) -> Values:
    """*values* with what follows from others; defaults that would make silent nonsense are refused."""
    policies = values.get("policy", (TINY,))
    real = policies != (TINY,)
    check_policies(policies)
    if real and "reward" not in values:
        raise ConfigError(
            f"--policy {policies[0]}: name a reward too, with --reward hf:ID-OR-PATH (a reward model in this"
            " process), vllm:URL, judge:URL or python:MODULE:FUNCTION; the embedded toy reward would judge"
            " its answers by a measure of another world (--reward tiny, if that is what you want)"
        )
    if "sequences" in values:  # with queries to spare, the server is full while the last ones end
        values = {"concurrency": max(CONCURRENCY, 2 * values["sequences"])} | values
    if not real:
        values = {"max_tokens": TINY_MAX_TOKENS} | values
    return values
