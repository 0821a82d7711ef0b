"""Findings of checks."""

import pytest

from tpo.doctor.finding import Finding, failure, good, no_failures, unknown, warning


@pytest.mark.parametrize(
    ("finding", "works"),
    [
        (good("a", "x"), True),
        (warning("a", "x", "do y"), True),
        (unknown("a", "x"), True),
        (failure("a", "x"), False),
    ],
)
def test_only_a_failure_keeps_a_run_from_working(finding: Finding, works: bool) -> None:
    assert no_failures([good("b", "x"), finding]) is works


def test_a_finding_is_json_with_what_was_measured() -> None:
    assert warning("context", "too long", "shorten it", needed=5).record() == {
        "check": "context",
        "status": "warning",
        "sentence": "too long",
        "advice": "shorten it",
        "values": {"needed": 5},
    }
