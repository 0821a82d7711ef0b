"""Run all checks in order; a check that fails does not stop the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from tpo.doctor.context import check_context
from tpo.doctor.data import check_data
from tpo.doctor.directory import check_directory
from tpo.doctor.estimate import check_estimate
from tpo.doctor.finding import Finding, failure
from tpo.doctor.golden import check_golden_scores
from tpo.doctor.iteration import check_iteration
from tpo.doctor.known_model import check_known_model
from tpo.doctor.loading import check_policy_loads, check_reward_loads, check_rules_load
from tpo.doctor.prefix_cache import check_prefix_cache
from tpo.doctor.reward import check_reward_order
from tpo.doctor.sampling import check_finish_reasons, check_samples
from tpo.doctor.servers import check_servers
from tpo.doctor.setup import CheckState, Setup
from tpo.errors import TpoError
from tpo.http import HttpFailure

log = logging.getLogger(__name__)

Check = Callable[[Setup, CheckState], Awaitable[None]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("data", check_data),
    ("server", check_servers),
    ("policy", check_policy_loads),
    ("samples", check_samples),
    ("finish reasons", check_finish_reasons),
    ("prefix cache", check_prefix_cache),
    ("reward", check_reward_loads),
    ("rules", check_rules_load),
    ("known reward model", check_known_model),
    ("reward order", check_reward_order),
    ("golden scores", check_golden_scores),
    ("iteration", check_iteration),
    ("context", check_context),
    ("directory", check_directory),
    ("estimate", check_estimate),
)
"""All checks in order: a check may use the results of earlier ones."""


def _ignore(event: object) -> None:
    del event


async def run_checks(
    setup: Setup,
    report: Callable[[Finding], None] = _ignore,
    on_start: Callable[[str], None] = _ignore,
) -> list[Finding]:
    """Run all checks and return their findings.

    A failure inside a check becomes a finding; only an interruption is raised.

    Args:
        setup: the run to check.
        report: called with each finding as soon as it is known.
        on_start: called with a check's name before the check runs.
    """
    findings: list[Finding] = []

    def add(finding: Finding) -> None:
        clean = _redacted(setup.secrets, finding)
        findings.append(clean)
        report(clean)

    state = CheckState(add)
    try:
        for name, check in CHECKS:
            on_start(name)
            await _run_check(name, check, setup, state)
    finally:
        await _close(state)
    return findings


async def _run_check(name: str, check: Check, setup: Setup, state: CheckState) -> None:
    limit = asyncio.timeout(setup.seconds)
    try:
        async with limit:
            await check(setup, state)
    except (TpoError, HttpFailure) as error:
        state.report(failure(name, str(error)))
    except TimeoutError as error:
        text = f"not finished after {setup.seconds:g} s" if limit.expired() else f"TimeoutError: {error}"
        state.report(failure(name, text, "check whether the model answers, and whether it is overloaded"))
    except (Exception, SystemExit) as error:
        log.debug("the check %s raised an exception", name, exc_info=True)
        text = f"the check raised {type(error).__name__}: {error}"
        state.report(failure(name, text, "if the exception is not from a function of your own, report a bug"))


async def _close(state: CheckState) -> None:
    try:
        await state.closing.aclose()
    except Exception:  # the findings are valid even if closing a model fails
        log.debug("closing a model failed", exc_info=True)


def _redacted(secrets: tuple[str, ...], finding: Finding) -> Finding:
    """Return *finding* with every secret in its texts replaced."""
    sentence, advice = finding.sentence, finding.advice
    for secret in secrets:
        sentence, advice = sentence.replace(secret, "[key]"), advice.replace(secret, "[key]")
    return replace(finding, sentence=sentence, advice=advice)
