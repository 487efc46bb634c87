"""What Prometheus scrapes: requests, their time, what was served, how old it is.

Counting is a few additions on plain dictionaries; the families are made when they are scraped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from pipelines.online.stores import Published

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0)


class Metrics:
    """What one gateway counted since it started."""

    def __init__(self, in_flight: Callable[[], int]) -> None:
        self._in_flight = in_flight
        self._requests: Counter[tuple[str, int]] = Counter()
        self._times: dict[str, list[int]] = {}  # by route: how many took up to each bound
        self._seconds: Counter[str] = Counter()
        self._members: Counter[str] = Counter()
        self._reloads: Counter[tuple[str, str]] = Counter()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests[route, status] += 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = [0] * (len(BOUNDS) + 1)
        times[bisect_left(BOUNDS, seconds)] += 1
        self._seconds[route] += seconds  # type: ignore[assignment]  # a Counter adds floats too

    def read(self, service: str, members: int) -> None:
        """Count members read for a service (or `features`, where features were listed)."""
        self._members[service] += members

    def reloaded(self, file: str, outcome: str) -> None:
        """Count a file that was taken up anew, or could not be."""
        self._reloads[file, outcome] += 1

    def text(self, watermarks: Mapping[str, Published], now: datetime) -> bytes:
        """The exposition, with the age of each view now."""
        registry = CollectorRegistry()
        registry.register(_Scrape([*self._families(), _ages(watermarks, now)]))
        return generate_latest(registry)

    def _families(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "huitou_requests", "Requests answered.", labels=["route", "status"]
        )
        for (route, status), count in self._requests.items():
            requests.add_metric([route, str(status)], count)
        times = HistogramMetricFamily("huitou_request_seconds", "Time to answer.", labels=["route"])
        for route, counts in self._times.items():
            bounds = [*map(str, BOUNDS), "+Inf"]
            upto = [sum(counts[: place + 1]) for place in range(len(counts))]
            times.add_metric([route], list(zip(bounds, upto, strict=True)), self._seconds[route])
        members = CounterMetricFamily(
            "huitou_members_read", "Members asked for.", labels=["service"]
        )
        for service, count in self._members.items():
            members.add_metric([service], count)
        reloads = CounterMetricFamily(
            "huitou_reloads", "Files taken up anew.", labels=["file", "outcome"]
        )
        for labels, count in self._reloads.items():
            reloads.add_metric(labels, count)
        yield from (requests, times, members, reloads)
        help_text = "Requests being answered."
        yield GaugeMetricFamily("huitou_requests_in_flight", help_text, self._in_flight())


class _Scrape:
    """The families of one scrape, as the library's registry wants them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _ages(watermarks: Mapping[str, Published], now: datetime) -> Metric:
    ages = GaugeMetricFamily(
        "huitou_view_age_seconds", "Now minus the as_of of what the store holds.", labels=["view"]
    )
    for view, published in watermarks.items():
        ages.add_metric([view], (now - published.as_of).total_seconds())
    return ages
