"""The reference implementation's command line, on this package's machinery."""

from tpo.contrib.reference.command import main

__all__ = ["main"]
