"""Runs in the browser while they work: the report's page, served to this machine alone.

:mod:`tpo.view.tail` reads what a file has grown by, :mod:`tpo.view.watched` follows one run,
:mod:`tpo.view.shelf` the runs of a directory; :mod:`tpo.view.server` answers the page.
"""

from tpo.view.serve import serve

__all__ = ["serve"]
