"""Command line of the reference implementation, run by this package."""

from tpo.contrib.reference.command import main

__all__ = ["main"]
