"""JSON over HTTP: one client per server, an adaptive limit per client, one retry loop, sticky balancing.

A policy or reward behind servers asks a :class:`~tpo.http.balancer.Balancer`, which picks a server and
retries; each attempt is one request of an :class:`HttpClient`. An :class:`HttpFailure` becomes an error of
the caller's kind.
"""

from tpo.http.balancer import Balancer
from tpo.http.client import HttpClient
from tpo.http.failures import HttpFailure
from tpo.http.retry import Clock, RetryPolicy

__all__ = ["Balancer", "Clock", "HttpClient", "HttpFailure", "RetryPolicy"]
