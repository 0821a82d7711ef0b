"""What a check found: how it stands, in one sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["good", "warning", "failure", "unknown"]
"""``failure``: a run would not work. ``unknown``: it could not be found out, and does no harm."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the checklist; *values* are what was measured, in JSON's own types."""

    check: str
    status: Status
    sentence: str
    advice: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def works(findings: Iterable[Finding]) -> bool:
    """Whether a run would work: nothing failed."""
    return all(finding.status != "failure" for finding in findings)


def good(check: str, sentence: str, **values: Any) -> Finding:
    """All is as it should be."""
    return Finding(check, "good", sentence, values=values)


def warning(check: str, sentence: str, advice: str, **values: Any) -> Finding:
    """A run works, and would be better with *advice*."""
    return Finding(check, "warning", sentence, advice, values)


def failure(check: str, sentence: str, advice: str = "", **values: Any) -> Finding:
    """A run would not work."""
    return Finding(check, "failure", sentence, advice, values)


def unknown(check: str, sentence: str, advice: str = "", **values: Any) -> Finding:
    """It could not be found out."""
    return Finding(check, "unknown", sentence, advice, values)
