"""Load settings from flags, environment and a TOML file, each checked where it stands."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from tpo.config.option import NO_URL, PREFIX, Setting, flag_of, is_url_path, variable_of
from tpo.config.settings import CONCURRENCY, FORMER, OPTIONS, TINY, TINY_MAX_TOKENS, Settings
from tpo.config.specs import check_names, require_reward
from tpo.errors import ConfigError
from tpo.registry import split_names

NO_SETTINGS = frozenset({"api_key", "reward_api_key", "judge_api_key", "config", "debug"})
"""Variables with our prefix that are not settings."""

SECRETS = frozenset({"reward_api_key", "api_key", "key", "token", "openai_api_key", "tpo_api_key"})

SEVERAL = "write values between commas, as in 3,5,10"

log = logging.getLogger(__name__)

Values = dict[str, Any]
Place = Callable[[str], str]
"""The name of a setting in one source, for errors."""


def load_settings(
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    file: Path | None = None,
    notify: Callable[[str], None] = log.warning,
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """Load the settings that *flags*, *environment* and *file* give, in this order of precedence.

    A flag that is None was not given. *notify* hears of names that have changed. *defaults* replace the
    settings' own.

    Raises:
        ConfigError: a file cannot be read, a name is unknown, a value has the wrong type or range, or the
            values do not go together.
    """
    return load_axes(flags, environment, file, (), notify, defaults)[0]


def load_axes(
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    file: Path | None,
    several: Collection[str],
    notify: Callable[[str], None] = log.warning,
    defaults: Mapping[str, Any] | None = None,
) -> tuple[Settings, Mapping[str, tuple[Any, ...]]]:
    """Load settings of which *several* may have many values, between commas or in a TOML list.

    Returns:
        The settings with the first value of each, and all values of each of *several*.

    Raises:
        ConfigError: as :func:`load_settings`.
    """
    for name in flags:
        _require_known(name)
    given = {name: value for name, value in flags.items() if value is not None}
    merged = dict(defaults or {}) | _from_file(file, several, notify)
    merged |= _from_environment(environment, several, notify)
    merged |= _check(given, flag_of, several)
    axes = {name: merged.get(name, (OPTIONS[name].default,)) for name in several}
    settings = Settings(**_complete(merged | {name: values[0] for name, values in axes.items()}))
    check_names(settings)
    return settings, axes


def _from_environment(
    environment: Mapping[str, str], several: Collection[str], notify: Callable[[str], None]
) -> Values:
    """Read the variables that are settings; an empty one counts as not set, as is usual in shells."""
    ours = {n.removeprefix(PREFIX).lower(): v for n, v in environment.items() if n.startswith(PREFIX) and v}
    ours = _current(ours, variable_of, notify)
    known = {name: value for name, value in ours.items() if name in OPTIONS}
    for name in sorted(ours.keys() - known.keys() - NO_SETTINGS):
        # Others may use our prefix for their own ends; a near miss is a slip of the pen.
        near = get_close_matches(name, OPTIONS, n=1, cutoff=0.8)
        if near:
            raise ConfigError(f"{variable_of(name)}: no such setting; did you mean {variable_of(near[0])}?")
    return _check(known, variable_of, several, from_text=True)


def _from_file(file: Path | None, several: Collection[str], notify: Callable[[str], None]) -> Values:
    if file is None:
        return {}
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"--config {file}: cannot be read: {reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"--config {file}: not valid TOML: {error}") from error

    def place(name: str) -> str:
        return f"{file}: {name}"

    values = _current({name.replace("-", "_"): value for name, value in table.items()}, place, notify)
    for name in values:
        _require_known(name, f"{file}: ")
    return _check(values, place, several)


def _current(values: Values, place: Place, notify: Callable[[str], None]) -> Values:
    """Return *values* under their current names; the current name wins where both are given."""
    for old in FORMER.keys() & values.keys():
        notify(f"{place(old)} is now called {place(FORMER[old])}")
    renamed = {FORMER[name]: value for name, value in values.items() if name in FORMER}
    return renamed | {name: value for name, value in values.items() if name not in FORMER}


def _require_known(name: str, place: str = "") -> None:
    """Refuse a *name* that no setting has; *place* precedes it in the error."""
    if name in OPTIONS:
        return
    if name.lower() in SECRETS:
        raise ConfigError(f"{place}{name}: keys come from the environment only; set TPO_API_KEY there")
    near = get_close_matches(name, OPTIONS, n=1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(OPTIONS)}"
    raise ConfigError(f"{place}{name}: no such setting; {advice}")


def _check(values: Values, place: Place, several: Collection[str], from_text: bool = False) -> Values:
    """Return *values* in their own types, and tuples of *several*; errors name the *place* of a setting."""
    single = {name: value for name, value in values.items() if name not in several}
    checked = _validated(single, place, from_text)
    for name in several:
        if name in values:
            items = _items(values[name])
            if not items:
                raise ConfigError(f"{place(name)} is empty; {SEVERAL}")
            is_text = from_text or isinstance(values[name], str)
            checked[name] = tuple(_validated({name: item}, place, is_text)[name] for item in items)
    return checked


def _items(value: object) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, list | tuple) else [value]


def _validated(values: Values, place: Place, from_text: bool) -> Values:
    read = _model().model_validate_strings if from_text else _model().model_validate
    try:
        checked = read(values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, place)) from None
    return {name: getattr(checked, name) for name in checked.model_fields_set}


@cache
def _model() -> type[BaseModel]:
    """Return the model that checks values, made from the one definition of the settings."""
    config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    values: dict[str, Any] = {name: (_annotated(each), each.default) for name, each in OPTIONS.items()}
    return create_model("Settings", __config__=config, **values)


def _annotated(setting: Setting) -> Any:
    kind, option = setting.type, setting.option
    if setting.value_type is Path:
        return Annotated[kind, Field(strict=False), BeforeValidator(_as_path)]
    if setting.flag_type == list[str]:
        return Annotated[kind, BeforeValidator(_as_tuple), Field(min_length=1)]
    if isinstance(setting.default, dict):
        return Annotated[kind, BeforeValidator(_as_table)]
    return Annotated[kind, Field(ge=option.ge, gt=option.gt, le=option.le)]


def _as_path(value: object) -> object:
    """Refuse an empty path, which would be the working directory, and a URL."""
    if isinstance(value, str) and not value.strip():
        raise ValueError("name a path; . is the working directory")
    if isinstance(value, str | Path) and is_url_path(value):
        raise ValueError(NO_URL)
    return value


def _as_tuple(value: object) -> object:
    """Return one text as a tuple of one, or of the URLs between its commas; a list as a tuple."""
    if isinstance(value, str):
        return split_names(value)
    return tuple(value) if isinstance(value, list) else value


def _as_table(value: object) -> object:
    """Return a table, from TOML as it is, from a flag or the environment as JSON."""
    if not isinstance(value, str):
        return value
    try:
        table = json.loads(value)
    except ValueError as error:
        raise ValueError(f'must be a JSON object, such as {{"NAME": VALUE}} ({error})') from None
    if not isinstance(table, dict):
        raise ValueError('must be a JSON object, such as {"NAME": VALUE}')
    return table


def _sentence(error: ValidationError, place: Place) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    rule = first["msg"].removeprefix("Value error, ").replace("Input should", "must")
    rule = f"it {rule.partition(', unable to')[0]}" if rule.startswith("must") else rule
    name = str(first["loc"][0])
    if isinstance(OPTIONS[name].default, dict):  # it is not repeated: what was meant for it may hold a key
        return f"{place(name)}: {rule}"
    return f"{place(name)} is {_short(first['input'])}; {rule}"


def _short(value: object, width: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _complete(values: Values) -> Values:
    """Add what follows from other values; refuse defaults that would make silent nonsense."""
    policies = values.get("policy", (TINY,))
    require_reward(policies, has_reward="reward" in values)
    if values.get("sequences"):  # with queries to spare, the server is full while the last ones end
        values = {"concurrency": max(CONCURRENCY, 2 * values["sequences"])} | values
    if policies == (TINY,):
        values = {"max_tokens": TINY_MAX_TOKENS} | values
    return values
