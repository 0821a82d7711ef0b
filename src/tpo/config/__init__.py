"""Configuration: the only place that reads flags, environment and files, and builds what they name."""

from tpo.config.build import (
    Setup,
    build,
    build_policy,
    load_policy,
    make_recipe,
)
from tpo.config.rewards import build_reward, load_reward
from tpo.config.settings import Settings
from tpo.config.sources import load_settings

__all__ = [
    "Settings",
    "Setup",
    "build",
    "build_policy",
    "build_reward",
    "load_policy",
    "load_reward",
    "load_settings",
    "make_recipe",
]
