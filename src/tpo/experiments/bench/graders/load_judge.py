"""Load a judge by its name on the command line: a server's URL with a model, or a model in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tpo.config import build_policy
from tpo.entry_points import POLICIES
from tpo.errors import ConfigError, PolicyRefused
from tpo.experiments.bench.graders.judge import Judge
from tpo.http.address import without_secrets
from tpo.policies.base import Policy
from tpo.registry import ModelSpec, find_kind, is_url, parse, refuse_secrets

KEY_VARIABLE = "TPO_JUDGE_API_KEY"
"""Variable of the judge's API key: the policy's key must not be sent to the judge's server."""


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """Parsed name of a judge: ``URL[#MODEL]``, ``hf:ID-or-path`` or ``tiny``."""

    place: str
    model: str | None

    @classmethod
    def of(cls, name: str) -> JudgeSpec:
        """Parse *name*.

        Raises:
            ConfigError: *name* is not the name of a model, or contains a password.
        """
        place, _, model = name.partition("#")
        if is_url(place):
            refuse_secrets("--judge", place, KEY_VARIABLE)
        if find_kind(POLICIES, place) is None:
            raise ConfigError(
                f"--judge {without_secrets(name)}: use a server's URL with its model, such as"
                " http://localhost:8001/v1#MODEL, or hf:ID-OR-PATH"
            )
        parse(POLICIES, place, "--judge")
        return cls(place, model or None)


async def load_judge(
    name: str, environment: Mapping[str, str], concurrency: int = 64, **options: Any
) -> Judge:
    """Load the judge called *name* and check that it answers, so that a wrong key is found before any call.

    Without a model in *name* the server's only model is used. *options* are options of
    :func:`tpo.config.build_policy`, such as *timeout* and *retry_timeout*.

    Raises:
        ConfigError: *name* is not the name of a judge.
        PolicyError: the judge does not answer; PolicyRefused if a retry cannot help.
    """
    found = JudgeSpec.of(name)
    spec: ModelSpec[Policy] = parse(POLICIES, found.place, "--judge")
    if not spec.urls:
        return Judge(spec.value or spec.name, build_policy(found.place, **options))
    key = environment.get(KEY_VARIABLE)
    policy = build_policy(found.place, model=found.model, concurrency=concurrency, api_key=key, **options)
    try:
        await _check(policy)
    finally:
        await close_model(policy)  # its connections belong to this event loop; later calls open new ones
    model = found.model or getattr(policy, "model", None)
    if not model:
        raise PolicyRefused(f"--judge {name}: the server lists no model; use URL#MODEL")
    return Judge(str(model), policy)


async def _check(policy: object) -> None:
    check = getattr(policy, "check", None)
    if check is not None:
        await check()


async def close_model(model: object) -> None:
    """Close the connections of *model*, if it has any."""
    close = getattr(model, "aclose", None)
    if close is not None:
        await close()
