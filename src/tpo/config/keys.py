"""API keys among the values of options: refused, since a run records its options."""

from __future__ import annotations

from collections.abc import Mapping

from tpo.errors import ConfigError

KEY_FIELDS = frozenset(
    {
        *("api_key", "apikey", "x_api_key", "authorization", "access_token", "auth_token", "bearer_token"),
        *("headers", "extra_headers", "password", "secret", "client_secret"),
    }
)
"""Names under which a key would be recorded."""


def refuse_keys(option: str, values: object, place: str = "") -> None:
    """Refuse names of keys at any depth of *values*, which *option* gives and the run records.

    Raises:
        ConfigError: a name is one under which a key is given.
    """
    if isinstance(values, list):
        for index, value in enumerate(values):
            refuse_keys(option, value, f"{place}{index}.")
    for name, value in values.items() if isinstance(values, Mapping) else ():
        refuse_keys(option, value, f"{place}{name}.")
        if str(name).lower().replace("-", "_") in KEY_FIELDS:
            raise ConfigError(
                f"{option}: {place}{name} would be written into the run's record; a key comes from"
                " TPO_API_KEY alone, and only fields of a request's body can be added"
            )
