"""Preflight checks: test policy, reward, method and data before a long run."""

from tpo.doctor.finding import Finding, Status, no_failures
from tpo.doctor.run_checks import run_checks
from tpo.doctor.setup import CheckState, Setup

__all__ = ["CheckState", "Finding", "Setup", "Status", "no_failures", "run_checks"]
