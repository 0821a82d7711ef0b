"""``--policy hf:ID-OR-PATH`` and ``--policy tiny``: a chat model in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tpo.errors import ConfigError
from tpo.model_kinds import CheckpointSpec
from tpo.policies.base import Policy
from tpo.registry import ModelOptions
from tpo.tiny import policy_path

FIELDS: Mapping[str, tuple[type, ...]] = {
    "top_k": (int,),
    "min_p": (int, float),
    "repetition_penalty": (int, float),
    "chat_template_kwargs": (Mapping,),
}
"""Fields of ``--policy-extra`` that a model in this process takes, as vLLM does, with their types."""


@dataclass(frozen=True)
class HuggingFace(CheckpointSpec[Policy]):
    """Any causal chat model of transformers."""

    summary: ClassVar[str] = "a chat model in this process"
    takes: ClassVar[frozenset[str]] = frozenset({"extra"})

    def resolve(self, options: ModelOptions) -> None:
        """Refuse a path that is no directory, and fields that only a server takes."""
        super().resolve(options)
        _checked(self.name, options.extra)

    def build(self, options: ModelOptions) -> Policy:
        """Load the checkpoint."""
        from tpo.policies.local import HFPolicy

        return HFPolicy(
            self.location,
            dtype=options.dtype,
            device=options.device,
            trust_remote_code=options.trust_remote_code,
            **_checked(self.name, options.extra),
        )


@dataclass(frozen=True)
class Tiny(HuggingFace):
    """The embedded policy."""

    takes: ClassVar[frozenset[str]] = frozenset()
    usage: ClassVar[str] = "tiny"
    summary: ClassVar[str] = "the embedded model"

    @property
    def location(self) -> str:
        """The embedded checkpoint's directory."""
        return str(policy_path())

    def short_name(self, options: ModelOptions) -> str:
        """Return nothing: the default needs no name."""
        del options
        return ""


def _checked(name: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return *extra* if a model in this process takes all of it.

    Raises:
        ConfigError: it holds another field, or a value of another kind.
    """
    for field, value in extra.items():
        if field not in FIELDS:
            raise ConfigError(f"--policy-extra: {field}: --policy {name} takes only {', '.join(FIELDS)}")
        if not isinstance(value, FIELDS[field]) or isinstance(value, bool):
            raise ConfigError(f"--policy-extra: {field} is {value!r}, which --policy {name} does not take")
    return dict(extra)
