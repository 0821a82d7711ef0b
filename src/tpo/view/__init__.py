"""Live view: the report's page over runs in progress, served on 127.0.0.1 only.

:mod:`tpo.view.tail` reads appended lines, :mod:`tpo.view.live_run` follows one run, :mod:`tpo.view.catalog`
the runs of a directory; :mod:`tpo.view.server` answers the page's requests.
"""

from tpo.view.serve import serve

__all__ = ["serve"]
