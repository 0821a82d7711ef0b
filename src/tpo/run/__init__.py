"""Many queries: bounded, resumable, observed."""

from tpo.run.fingerprint import fingerprint, measured, scales_in
from tpo.run.retries import Retries
from tpo.run.runner import run
from tpo.run.summary import StepSummary, Summary, summarize

__all__ = ["Retries", "StepSummary", "Summary", "fingerprint", "measured", "run", "scales_in", "summarize"]
