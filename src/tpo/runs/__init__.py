"""Many queries: bounded, resumable, observed."""

from tpo.runs.fingerprint import fingerprint, measured, scales_in
from tpo.runs.retries import Retries
from tpo.runs.runner import run
from tpo.runs.summary import StepSummary, Summary, summarize

__all__ = ["Retries", "StepSummary", "Summary", "fingerprint", "measured", "run", "scales_in", "summarize"]
