"""Run queries with bounded concurrency, persist each result, resume after interruption.

:class:`tpo.runs.plan.RunPlan` leads from settings to a run; it is not imported here, since it reads settings.
"""

from tpo.runs.fingerprint import fingerprint, measured, scales_in
from tpo.runs.retries import Retries
from tpo.runs.runner import run_queries
from tpo.runs.summary import StepSummary, Summary, summarize

__all__ = [
    "Retries",
    "StepSummary",
    "Summary",
    "fingerprint",
    "measured",
    "run_queries",
    "scales_in",
    "summarize",
]
