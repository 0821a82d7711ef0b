"""Many queries: bounded, resumable, observed."""

from tpo.run.fingerprint import fingerprint
from tpo.run.runner import run
from tpo.run.summary import StepSummary, Summary, summarize

__all__ = ["StepSummary", "Summary", "fingerprint", "run", "summarize"]
