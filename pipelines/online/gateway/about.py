"""What the gateway says of itself: its services, its document, its health, its metrics."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pipelines.core.catalog import Catalog, Service
from pipelines.core.clock import Clock
from pipelines.online.access.caller import METRICS
from pipelines.online.gateway.docs import DOCS_HEADERS, DOCS_HTML
from pipelines.online.gateway.errors import RefusedError
from pipelines.online.gateway.exchange import Exchange
from pipelines.online.gateway.http import HTML, TEXT, Response, json_response
from pipelines.online.gateway.metrics import Metrics
from pipelines.online.gateway.rules import CONTACT
from pipelines.online.stores import OnlineReader, StoreUnavailableError


class About:
    """The handlers that read no member."""

    def __init__(self, reader: OnlineReader, clock: Clock, metrics: Metrics) -> None:
        self._reader = reader
        self._clock = clock
        self._metrics = metrics

    async def services(self, exchange: Exchange) -> Response:
        """`GET /v1/services`: those the caller may read."""
        definitions = exchange.live.definitions
        listed = [
            service_json(definitions.catalog, definitions.catalog.services[name])
            for name in definitions.services
            if exchange.caller.may_read(name)
        ]
        return json_response({"definition_version": definitions.version, "services": listed})

    async def openapi(self, exchange: Exchange) -> Response:
        """`GET /openapi.json`: with the services the caller may read."""
        return Response(exchange.live.openapi(exchange.caller))

    async def docs(self, _: Exchange) -> Response:
        """`GET /docs`: a page that shows the document to whoever has a key."""
        return Response(DOCS_HTML, content_type=HTML, headers=DOCS_HEADERS)

    async def metrics(self, exchange: Exchange) -> Response:
        """`GET /metrics`, as Prometheus reads it."""
        if METRICS not in exchange.caller.scopes:
            remedy = f"use a key with the scope {METRICS!r}"
            raise RefusedError("scope_missing", "this key may not read metrics", remedy)
        watermarks = {}
        with suppress(StoreUnavailableError):
            watermarks = dict((await self._reader.read_async([])).watermarks)
        return Response(self._metrics.text(watermarks, self._clock.now()), content_type=TEXT)

    async def healthz(self, _: Exchange) -> Response:
        """`GET /healthz`: the process answers."""
        return json_response({"status": "alive"})

    async def readyz(self, _: Exchange) -> Response:
        """`GET /readyz`: the store answers too."""
        await self._reader.read_async([])
        return json_response({"status": "ready"})


def service_json(catalog: Catalog, service: Service) -> dict[str, Any]:
    """A service as `/v1/services` lists it."""
    views = dict.fromkeys(view for view, _ in service.features)
    return {
        "name": service.name,
        "description": service.description,
        "owner": service.owner,
        "serve_stale": service.serve_stale,
        "has_eligibility": CONTACT in views,
        "views": [
            {
                "name": view.name,
                "description": view.description,
                "join_keys": view.join_keys,
                "max_age_s": view.max_age_s,
                "slo_s": view.slo_s,
                "purpose": view.purpose,
                "features": [
                    {
                        "name": name,
                        "type": view.feature(name).feast_type,
                        "unit": view.feature(name).unit,
                        "description": view.feature(name).description,
                    }
                    for owner, name in service.features
                    if owner == view.name
                ],
            }
            for view in (catalog.views[name] for name in views)
        ],
    }
