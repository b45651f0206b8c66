"""Numbers for Prometheus. Labels have few values, none of them chosen by a client."""

from __future__ import annotations

import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest, multiprocess

from guardrails_plugin.server.exchange import Exchange

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """The service's counters. With several worker processes, ``PROMETHEUS_MULTIPROC_DIR`` joins theirs."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests = Counter(
            "guardrails_requests", "Requests by route and status.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "guardrails_request_seconds", "Time to answer, by route.", ("route",), buckets=_SECONDS, registry=registry
        )
        self._guarding = Histogram(
            "guardrails_check_seconds", "Time in the engine, by request.", buckets=_SECONDS, registry=registry
        )
        self._verdicts = Counter(
            "guardrails_verdicts", "Requests by the worst verdict.", ("verdict",), registry=registry
        )
        self._tokens = Counter("guardrails_llm_tokens", "Tokens of proxied model calls.", registry=registry)

    def observe(self, exchange: Exchange, method: str, route: str) -> None:
        """Count a finished request."""
        self._requests.labels(method, route, str(exchange.status)).inc()
        self._seconds.labels(route).observe(exchange.seconds)
        if exchange.verdict is not None:
            self._verdicts.labels(exchange.verdict.name.lower()).inc()
            self._guarding.observe(exchange.guarding)
        if tokens := exchange.counts.get("llm.tokens", 0):
            self._tokens.inc(tokens)

    def render(self) -> bytes:
        """The text format, of all worker processes."""
        registry = self._registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
