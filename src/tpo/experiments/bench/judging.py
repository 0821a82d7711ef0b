"""The judge by its name on the command line: a server's URL with its model, or a model in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tpo.config.models import build_policy
from tpo.entry_points import POLICIES
from tpo.errors import ConfigError, PolicyRefused
from tpo.experiments.bench.judge import Judge
from tpo.http.address import without_secrets
from tpo.policies.base import Policy
from tpo.registry import ModelSpec, find_kind, is_url, parse, refuse_secrets

KEY_VARIABLE = "TPO_JUDGE_API_KEY"
"""A judge's server is not the policy's, and must not be sent its key."""


@dataclass(frozen=True, slots=True)
class JudgeName:
    """What ``URL[#MODEL]``, ``hf:ID-or-path`` or ``tiny`` says."""

    place: str
    model: str | None

    @classmethod
    def of(cls, name: str) -> JudgeName:
        """Parse *name*.

        Raises:
            ConfigError: it names no model, or holds a password.
        """
        place, _, model = name.partition("#")
        if is_url(place):
            refuse_secrets("--judge", place, KEY_VARIABLE)
        if find_kind(POLICIES, place) is None:
            raise ConfigError(
                f"--judge {without_secrets(name)}: write a server's URL and the model there, as in"
                " http://localhost:8001/v1#MODEL, or hf:ID-OR-PATH"
            )
        parse(POLICIES, place, "--judge")
        return cls(place, model or None)


async def load_judge(
    name: str, environment: Mapping[str, str], concurrency: int = 64, **options: Any
) -> Judge:
    """The judge that *name* names, asked whether it answers, so that a wrong key is known before any call.

    Where no model is named, it is the server's only one. *options* are those of
    :func:`tpo.config.build_policy`, such as *timeout* and *retry_timeout*.

    Raises:
        ConfigError: it names none.
        PolicyError: it does not answer; PolicyRefused where it never will.
    """
    found = JudgeName.of(name)
    spec: ModelSpec[Policy] = parse(POLICIES, found.place, "--judge")
    if not spec.urls:
        return Judge(spec.value or spec.name, build_policy(found.place, **options))
    key = environment.get(KEY_VARIABLE)
    policy = build_policy(found.place, model=found.model, concurrency=concurrency, api_key=key, **options)
    try:
        await _check(policy)
    finally:
        await aclose(policy)  # its connections belong to this loop; a later call opens new ones
    model = found.model or getattr(policy, "model", None)
    if not model:
        raise PolicyRefused(f"--judge {name}: the server names no model; write URL#MODEL")
    return Judge(str(model), policy)


async def _check(policy: object) -> None:
    check = getattr(policy, "check", None)
    if check is not None:
        await check()


async def aclose(model: object) -> None:
    """Close *model*'s connections, if it has any."""
    close = getattr(model, "aclose", None)
    if close is not None:
        await close()
