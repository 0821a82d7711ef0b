"""Runs from Python: start or resume one, read its results."""

from tpo.api.results import Run, load_run
from tpo.api.running import arun, run

__all__ = ["Run", "arun", "load_run", "run"]
