"""Finding of a check: a status, one sentence, and advice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["good", "warning", "failure", "unknown"]
"""``failure``: a run would not work. ``unknown``: the check had no result, which does not affect a run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the checklist; *values* holds the measurements as JSON values."""

    check: str
    status: Status
    sentence: str
    advice: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return asdict(self)


def no_failures(findings: Iterable[Finding]) -> bool:
    """Return whether a run would work: no finding is a failure."""
    return all(finding.status != "failure" for finding in findings)


def good(check: str, sentence: str, **values: Any) -> Finding:
    """Return a finding without a problem."""
    return Finding(check, "good", sentence, values=values)


def warning(check: str, sentence: str, advice: str, **values: Any) -> Finding:
    """Return a finding for a run that works, but not as well as it would with *advice*."""
    return Finding(check, "warning", sentence, advice, values)


def failure(check: str, sentence: str, advice: str = "", **values: Any) -> Finding:
    """Return a finding for a run that would not work."""
    return Finding(check, "failure", sentence, advice, values)


def unknown(check: str, sentence: str, advice: str = "", **values: Any) -> Finding:
    """Return a finding for a check without a result."""
    return Finding(check, "unknown", sentence, advice, values)
