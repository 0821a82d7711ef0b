"""Circuit breaker: pause while no server answers, probe, and end the run after a bound."""

from __future__ import annotations

import logging
import math

from tpo.http.failures import HttpFailure
from tpo.http.retry import Clock, RetryPolicy

log = logging.getLogger(__name__)

SHORTEST = 5.0
"""Seconds without any answer that make an outage."""
SEVERAL = 2
"""Keys whose calls fail in an outage, at least."""
ADVICE = (
    "Finished calls are kept: run the same command again when a server is up, or set a larger --retry-timeout"
)
PROBE_SECONDS = 10.0
"""Between two calls that probe during an outage; the others wait."""


class Outage:
    """The time since which calls of several keys have failed and none has been answered.

    One key alone is no outage: its request may be what breaks the server. Nor is it one while a call is in
    flight that started before it: servers may take long.
    """

    def __init__(self, retry: RetryPolicy, clock: Clock) -> None:
        self._retry = retry
        self._clock = clock
        self._attempts: dict[object, float] = {}
        self._since: float | None = None
        self._keys: set[str] = set()
        self._last = HttpFailure("")
        self._probed_at = -math.inf
        self._is_announced = False

    def admits(self, call: object) -> bool:
        """Return whether *call* may be attempted now, and count it as in flight if so."""
        now = self._clock.now()
        if self._lasted() >= SHORTEST:
            if now < self._probed_at + PROBE_SECONDS:
                return False
            self._probed_at = now
        self._attempts[call] = now
        return True

    def end(self, call: object) -> None:
        """Count *call* as in flight no longer."""
        self._attempts.pop(call, None)

    def answered(self) -> None:
        """Note that a server has answered."""
        if self._since is None:
            return
        if self._is_announced:
            log.warning("a server answers again after %.0f s: the run goes on", self._lasted())
        self._since, self._is_announced = None, False
        self._keys.clear()

    def failed(self, key: str, failure: HttpFailure) -> None:
        """Note that no server answered a call of *key*."""
        if self._since is None:
            self._since = self._clock.now()
        if len(self._keys) < SEVERAL:
            self._keys.add(key)
        self._last = failure
        if self._lasted() >= SHORTEST and not self._is_announced:
            self._is_announced = True
            sentence = "no server has answered for %.0f s: %s; the run waits, and ends if none does for %g s"
            log.warning(sentence, self._lasted(), failure.reason, self._retry.timeout)

    def as_failure(self) -> HttpFailure:
        """Return the failure of a call that was not attempted."""
        last = self._last
        return HttpFailure(last.reason, passes=True, status=last.status, retry_after=last.retry_after)

    def judge(self, failure: HttpFailure) -> None:
        """Make *failure*, of a call that is given up, fatal if no other call would fare better."""
        lasted = self._lasted()
        if failure.passes and lasted >= max(SHORTEST, self._retry.timeout / 2):
            failure.fatal = True
            failure.reason = f"no server has answered for {lasted:.0f} s: {failure.reason}. {ADVICE}"

    def _lasted(self) -> float:
        """Return for how many seconds there has been an outage; 0 if there is none."""
        if self._since is None or len(self._keys) < SEVERAL:
            return 0.0
        oldest = next(iter(self._attempts.values()), math.inf)
        return 0.0 if oldest < self._since else self._clock.now() - self._since
