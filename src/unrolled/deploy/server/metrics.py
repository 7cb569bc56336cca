"""What a server counts, in Prometheus' format; one registry to each application."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters of one application."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "unrolled_requests", "Answers by route and status.", ("route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "unrolled_request_seconds",
            "From first byte to answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("unrolled_requests_in_flight", "Requests under way.", registry=registry)
        self.texts = Counter("unrolled_texts", "Texts answered.", ("model",), registry=registry)
        self.batch = Histogram(
            "unrolled_batch_texts",
            "Texts that shared a pass.",
            ("model",),
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.waiting = Gauge("unrolled_queue_texts", "Texts that wait.", ("model",), registry=registry)
        self.refused = Counter("unrolled_refused", "Requests turned away as busy.", registry=registry)
