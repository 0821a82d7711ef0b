"""Runs that are to be examined, with models that are scripted or served."""

from __future__ import annotations

from typing import Any

from tpo.config import Settings, load_settings, make_recipe
from tpo.doctor import Finding, Patient
from tpo.policies.base import Policy
from tpo.policies.openai import OpenAIPolicy
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.base import Reward
from tpo.rewards.probes import PROBES
from tpo.rewards.scripted import ScriptedReward

POOR = {probe.poor for probe in PROBES}


def sensible(text: str) -> float:
    """A raw score that finds every poor probe poor, and else likes length."""
    return -3.0 - len(text) / 1000 if text in POOR else len(text) / 100 - 1


async def no_sleep(seconds: float) -> None:
    """Time that does not pass."""
    del seconds


def served(settings: Settings) -> Policy:
    """The model of the one server that *settings* name."""
    return OpenAIPolicy(settings.policy[0], settings.model)


def patient(
    *,
    policy: Policy | None = None,
    reward: Reward | None = None,
    data: str | None = None,
    golden: str | None = None,
    api_key: str | None = None,
    secrets: tuple[str, ...] = (),
    seconds: float = 60.0,
    **flags: Any,
) -> Patient:
    """One with scripted models, or, if *flags* name a server's URL (*policy_url*, and *also*), with that."""
    url = flags.get("policy_url")
    if url is not None:
        urls = [url, flags["also"]] if "also" in flags else [url]
        flags = {name: value for name, value in flags.items() if name not in ("policy_url", "also")}
        flags = {"policy": urls, "reward": ["python:tests.cli.values:length_of"]} | flags
    settings = load_settings(flags, {})
    return Patient(
        settings,
        make_recipe(settings),
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
    """The findings by what was looked at; the last of each."""
    return {finding.check: finding for finding in found}
