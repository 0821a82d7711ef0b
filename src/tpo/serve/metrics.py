"""Prometheus metrics of the endpoint, named as vLLM names its own, with the prefix ``tpo:``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from tpo.serve.outcome import Outcome
    from tpo.types import Usage

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
REWARDS = (-30, -20, -10, -5, -2, -1, -0.5, 0, 0.5, 1, 2, 5, 10, 20, 30)


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.running = Gauge("tpo:num_requests_running", "Optimized requests in progress.", registry=registry)
        self.waiting = Gauge("tpo:num_requests_waiting", "Requests that wait to run.", registry=registry)
        self.prompt = Counter("tpo:prompt_tokens", "Prompt tokens spent.", registry=registry)
        self.generated = Counter("tpo:generation_tokens", "Completion tokens spent.", registry=registry)
        self.cached = Counter(
            "tpo:prompt_tokens_cached", "Prompt tokens from a server's cache.", registry=registry
        )
        self.ended = Counter(
            "tpo:request_success", "Answered requests by stop reason.", ["stop_reason"], registry=registry
        )
        self.errors = Counter(
            "tpo:request_error", "Failed requests by status.", ["status"], registry=registry
        )
        self.latency = Histogram(
            "tpo:e2e_request_latency_seconds",
            "Seconds to the whole answer.",
            buckets=SECONDS,
            registry=registry,
        )
        self.first_token = Histogram(
            "tpo:time_to_first_token_seconds",
            "Seconds to the first delta of a stream, progress included, or to the whole answer.",
            buckets=SECONDS,
            registry=registry,
        )
        self.best = Histogram("tpo:best_reward", "Reward of the answer.", buckets=REWARDS, registry=registry)
        self.gain = Histogram(
            "tpo:reward_gain",
            "Reward of the answer minus that of the first sample.",
            buckets=REWARDS,
            registry=registry,
        )

    def spend(self, usage: Usage) -> None:
        """Add the usage of a completion, whatever becomes of its request."""
        self.prompt.inc(usage.prompt_tokens)
        self.generated.inc(usage.completion_tokens)
        self.cached.inc(usage.cached_tokens)

    def count(self, outcome: Outcome, seconds: float, first_token: float) -> None:
        """Add an answered request that took *seconds*, and *first_token* seconds to its first delta."""
        self.ended.labels(outcome.stop_reason).inc()
        self.latency.observe(seconds)
        self.first_token.observe(first_token)
        best = None if outcome.trajectory is None else outcome.trajectory.best
        if best is not None:
            self.best.observe(best.reward)
        if outcome.gain is not None:
            self.gain.observe(outcome.gain)

    def text(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
