"""Reports of runs: a self-contained HTML page, and figure files for papers.

:func:`write_report` writes both. The live view uses the same parts: :mod:`tpo.report.partial_run` reads a
run, :mod:`tpo.report.overview` summarizes it, :mod:`tpo.report.transcript` converts one trajectory for the
page.
"""

from tpo.report.write import ReportOptions, WrittenReport, write_report

__all__ = ["ReportOptions", "WrittenReport", "write_report"]
