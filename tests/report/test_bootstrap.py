"""Estimates: a value with its interval."""

import pytest

from tpo.report.bootstrap import Estimate


@pytest.mark.parametrize(
    ("estimate", "clipped"),
    [
        (Estimate(50.0, 40.0, 60.0), Estimate(50.0, 40.0, 60.0)),
        (Estimate(1.0, -5.0, 7.0, skewed=True), Estimate(1.0, 0.0, 7.0, skewed=True)),
        (Estimate(-10.0, -20.0, -2.0), Estimate(0.0, 0.0, 0.0)),
        (Estimate(110.0, 104.0, 120.0), Estimate(100.0, 100.0, 100.0)),
        (Estimate(-10.0), Estimate(0.0)),
    ],
)
def test_a_clipped_estimate_and_its_interval_lie_between_both_ends(
    estimate: Estimate, clipped: Estimate
) -> None:
    assert estimate.clipped(0.0, 100.0) == clipped
