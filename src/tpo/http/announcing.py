"""Telling a listener of every further try, whoever makes it."""

from __future__ import annotations

import logging

from tpo.events import CallRetried, Listener
from tpo.http.patience import OnRetry
from tpo.types import Scope

log = logging.getLogger(__name__)


def announcing(listener: Listener | None, scope: Scope) -> OnRetry:
    """What tells *listener* that the call of *scope* is tried again; whatever it does, the call goes on."""

    def announce(reason: str, wait: float) -> None:
        if listener is None:
            return
        try:
            listener(CallRetried(scope, reason, wait))
        except Exception:
            log.exception("a listener failed on CallRetried")

    return announce
