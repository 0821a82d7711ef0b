"""Configuration: the only place that reads flags, environment and files, and builds what they name.

Names are imported when they are first used: the command line needs the options, not what they build.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpo.config.models import (
        check_of,
        data_options,
        make_method,
        name_model,
        policy_of,
        resolve,
        reward_of,
        weights_of,
    )
    from tpo.config.rules import (
        fallback_of,
        selection_identity,
        selection_of,
        stopping_identity,
        stopping_rules,
    )
    from tpo.config.settings import Settings
    from tpo.config.sources import load_axes, load_settings
    from tpo.config.specs import (
        check_identity,
        policy_identity,
        policy_name,
        policy_short_name,
        reward_columns,
        reward_identity,
        reward_specs,
        role_identities,
    )
    from tpo.methods.named_models import (
        build_policy,
        build_reward,
        load_policy,
        load_reward,
        policy_spec,
    )

_HOMES = {
    "tpo.config.models": "check_of make_method data_options name_model policy_of resolve reward_of"
    " weights_of",
    "tpo.config.rules": "fallback_of selection_identity selection_of stopping_identity stopping_rules",
    "tpo.config.settings": "Settings",
    "tpo.config.sources": "load_axes load_settings",
    "tpo.config.specs": "check_identity policy_identity policy_name policy_short_name reward_columns"
    " reward_identity reward_specs role_identities",
    "tpo.methods.named_models": "build_policy build_reward load_policy load_reward policy_spec",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Settings",
    "build_policy",
    "build_reward",
    "check_identity",
    "check_of",
    "data_options",
    "fallback_of",
    "load_axes",
    "load_policy",
    "load_reward",
    "load_settings",
    "make_method",
    "name_model",
    "policy_identity",
    "policy_name",
    "policy_of",
    "policy_short_name",
    "policy_spec",
    "resolve",
    "reward_columns",
    "reward_identity",
    "reward_of",
    "reward_specs",
    "role_identities",
    "selection_identity",
    "selection_of",
    "stopping_identity",
    "stopping_rules",
    "weights_of",
]

if not TYPE_CHECKING:  # a type checker would take it for a promise of every name

    def __getattr__(name: str) -> Any:
        """Return the public *name*, from the module that it lives in."""
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value
