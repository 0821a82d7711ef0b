"""The embedded pair: a real policy and a real reward model, small enough to ship."""

from importlib import resources
from pathlib import Path


def policy_path() -> Path:
    """The folder of the tiny policy, in Hugging Face format."""
    return _folder() / "policy"


def reward_path() -> Path:
    """The folder of the tiny reward model, in Hugging Face format."""
    return _folder() / "reward"


def examples_path() -> Path:
    """The shipped example queries, JSONL with ``id`` and ``prompt``."""
    return _folder() / "examples.jsonl"


def _folder() -> Path:
    return Path(str(resources.files("tpo.tiny")))
