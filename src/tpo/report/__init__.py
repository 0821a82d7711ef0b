"""A run to look at: one HTML page that needs nothing else, and its figures for a paper.

:func:`write_report` writes both. What the page shows is made by parts that a live view can use as well:
:mod:`tpo.report.salvage` reads a run, :mod:`tpo.report.overview` sums it up for the page,
:mod:`tpo.report.transcript` turns one trajectory into what the page unfolds.
"""

from tpo.report.write import Options, Written, write_report

__all__ = ["Options", "Written", "write_report"]
