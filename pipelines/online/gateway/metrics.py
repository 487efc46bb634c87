"""What Prometheus scrapes: requests, their time, what was served, how old it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from pipelines.online.stores import Published

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0)


class Metrics:
    """The gateway's own registry, so that several gateways in one process do not mix."""

    def __init__(self, in_flight: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "huitou_requests", "Requests answered.", ("route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "huitou_request_seconds",
            "Time to answer.",
            ("route",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._members = Counter(
            "huitou_members_read", "Members asked for.", ("service",), registry=self.registry
        )
        Gauge(
            "huitou_requests_in_flight", "Requests being answered.", registry=self.registry
        ).set_function(in_flight)
        self.reloads = Counter(
            "huitou_reloads", "Files taken up anew.", ("file", "outcome"), registry=self.registry
        )
        self._age = Gauge(
            "huitou_view_age_seconds",
            "Now minus the as_of of what the store holds.",
            ("view",),
            registry=self.registry,
        )
        self._counts: dict[tuple[str, int], Counter] = {}
        self._times: dict[str, Histogram] = {}
        self._reads: dict[str, Counter] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        count = self._counts.get((route, status))
        if count is None:
            count = self._counts[route, status] = self._requests.labels(route, str(status))
            self._times.setdefault(route, self._seconds.labels(route))
        count.inc()
        self._times[route].observe(seconds)

    def read(self, service: str, members: int) -> None:
        """Count members read for a service (or `features`, where features were listed)."""
        count = self._reads.get(service)
        if count is None:
            count = self._reads[service] = self._members.labels(service)
        count.inc(members)

    def text(self, watermarks: Mapping[str, Published], now: datetime) -> bytes:
        """The exposition, with the age of each view now."""
        for view, published in watermarks.items():
            self._age.labels(view).set((now - published.as_of).total_seconds())
        return generate_latest(self.registry)
