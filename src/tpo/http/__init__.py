"""JSON over HTTP as models are served: one address, one key, retries within a deadline, plain failures.

Policies and rewards both stand on this; each turns an :class:`HttpFailure` into an error of its own kind.
"""

from tpo.http.endpoint import Endpoint
from tpo.http.failures import HttpFailure
from tpo.http.patience import Patience, Timekeeper

__all__ = ["Endpoint", "HttpFailure", "Patience", "Timekeeper"]
