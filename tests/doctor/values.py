"""Setups to check, with scripted or served models."""

from __future__ import annotations

from typing import Any

from tpo.config import Settings, load_settings, make_method
from tpo.doctor import Finding, Setup
from tpo.policies.base import Policy
from tpo.policies.openai import OpenAIPolicy
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.base import Reward
from tpo.rewards.probes import PROBES
from tpo.rewards.scripted import ScriptedReward

POOR = {probe.poor for probe in PROBES}


def sensible(text: str) -> float:
    """Score every poor probe low and other texts by length, as raw logits do."""
    return -3.0 - len(text) / 1000 if text in POOR else len(text) / 100 - 1


async def no_sleep(seconds: float) -> None:
    """Return at once."""
    del seconds


def served(settings: Settings) -> Policy:
    """Return the policy of the one server that *settings* name."""
    return OpenAIPolicy(settings.policy[0], settings.model)


def make_setup(
    *,
    policy: Policy | None = None,
    reward: Reward | None = None,
    data: str | None = None,
    golden: str | None = None,
    api_key: str | None = None,
    secrets: tuple[str, ...] = (),
    seconds: float = 60.0,
    **flags: Any,
) -> Setup:
    """Return a setup with scripted models, or with servers if *flags* holds *policy_url* (and *also*)."""
    url = flags.get("policy_url")
    if url is not None:
        urls = [url, flags["also"]] if "also" in flags else [url]
        flags = {name: value for name, value in flags.items() if name not in ("policy_url", "also")}
        flags = {"policy": urls, "reward": ["python:tests.cli.values:length_of"]} | flags
    settings = load_settings(flags, {})
    return Setup(
        settings,
        make_method(settings),
        served if url is not None and policy is None else lambda named: policy or ScriptedPolicy(),
        lambda: reward or ScriptedReward(sensible),
        data,
        golden,
        api_key,
        secrets=secrets,
        seconds=seconds,
        sleep=no_sleep,
    )


def by_check(found: list[Finding]) -> dict[str, Finding]:
    """Return the last finding of each check, by its name."""
    return {finding.check: finding for finding in found}
