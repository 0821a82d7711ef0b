"""The whole examination: one check after the other, each of which may fail without ending it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from tpo.doctor.caching import check_caching
from tpo.doctor.context import check_context
from tpo.doctor.data import check_data
from tpo.doctor.estimate import check_estimate
from tpo.doctor.finding import Finding, failure
from tpo.doctor.golden import check_golden_scores
from tpo.doctor.iteration import check_iteration
from tpo.doctor.loading import check_policy_loads, check_reward_loads
from tpo.doctor.patient import Notes, Patient
from tpo.doctor.place import check_place
from tpo.doctor.reward import check_reward_sense
from tpo.doctor.sampling import check_ends, check_samples
from tpo.doctor.servers import check_servers
from tpo.errors import TpoError
from tpo.http import HttpFailure

log = logging.getLogger(__name__)

Check = Callable[[Patient, Notes], Awaitable[None]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("data", check_data),
    ("server", check_servers),
    ("policy", check_policy_loads),
    ("samples", check_samples),
    ("finish reasons", check_ends),
    ("prefix cache", check_caching),
    ("reward", check_reward_loads),
    ("reward's sense", check_reward_sense),
    ("golden scores", check_golden_scores),
    ("iteration", check_iteration),
    ("context", check_context),
    ("directory", check_place),
    ("estimate", check_estimate),
)
"""In this order, since each may need what those before it found out."""


def _nothing(what: object) -> None:
    del what


async def examine(
    patient: Patient,
    tell: Callable[[Finding], None] = _nothing,
    starting: Callable[[str], None] = _nothing,
) -> list[Finding]:
    """Everything that was found, each also told at once; *starting* hears what is looked at next.

    Whatever a check meets becomes a finding: this raises nothing but what interrupts it.
    """
    found: list[Finding] = []

    def note(finding: Finding) -> None:
        clean = _without(patient.secrets, finding)
        found.append(clean)
        tell(clean)

    notes = Notes(note)
    try:
        for name, check in CHECKS:
            starting(name)
            await _guarded(name, check, patient, notes)
    finally:
        await _close(notes)
    return found


async def _guarded(name: str, check: Check, patient: Patient, notes: Notes) -> None:
    limit = asyncio.timeout(patient.seconds)
    try:
        async with limit:
            await check(patient, notes)
    except (TpoError, HttpFailure) as error:
        notes.tell(failure(name, str(error)))
    except TimeoutError as error:
        words = f"no end after {patient.seconds:g} s" if limit.expired() else f"TimeoutError: {error}"
        notes.tell(failure(name, words, "see whether the model answers at all, and with how much load"))
    except (Exception, SystemExit) as error:
        log.debug("the check of %s failed", name, exc_info=True)
        words = f"the check itself failed: {type(error).__name__}: {error}"
        notes.tell(failure(name, words, "if this is no fault of a function of your own, please report it"))


async def _close(notes: Notes) -> None:
    try:
        await notes.closing.aclose()
    except Exception:  # what was found stands, however untidy the end
        log.debug("closing failed", exc_info=True)


def _without(secrets: tuple[str, ...], finding: Finding) -> Finding:
    """*finding* with no secret in its texts."""
    sentence, advice = finding.sentence, finding.advice
    for secret in secrets:
        sentence, advice = sentence.replace(secret, "[key]"), advice.replace(secret, "[key]")
    return replace(finding, sentence=sentence, advice=advice)
