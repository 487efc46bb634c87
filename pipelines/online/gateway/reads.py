"""The four requests that read members; each makes one round trip to the store."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from pipelines.core.clock import Clock
from pipelines.online.gateway import feast, members
from pipelines.online.gateway.errors import RefusedError
from pipelines.online.gateway.exchange import Exchange, check_member_id, member_in_path
from pipelines.online.gateway.http import Response, json_response
from pipelines.online.gateway.judge import Judge
from pipelines.online.gateway.metrics import Metrics
from pipelines.online.gateway.plans import Plan
from pipelines.online.gateway.rules import TAGS
from pipelines.online.stores import OnlineReader, Row

AT_ONCE = 100  # members written down before other requests get their turn


class Reads:
    """The handlers; all state is in the reader."""

    def __init__(self, reader: OnlineReader, clock: Clock, metrics: Metrics) -> None:
        self._reader = reader
        self._clock = clock
        self._metrics = metrics

    async def feast(self, exchange: Exchange) -> Response:
        """`POST /get-online-features`, as Feast's feature server has it."""
        asked = feast.read_request(await exchange.json())
        if asked.service:
            plan = exchange.granted(asked.service)
        else:
            plan = exchange.granted_features(asked.columns)
        names = feast.names_of(plan, full_names=asked.full_names)
        now = exchange.now(asked.now, self._clock.now())
        keys = [feast.keys_of(part, asked.entities) for part in plan.parts]
        judge, rows = await self._read(exchange, plan, keys, asked.rows, now)
        return json_response(feast.response(judge, asked, names, rows))

    async def one(self, exchange: Exchange) -> Response:
        """`GET /v1/members/{member_id}?service=…`."""
        member_id = member_in_path(exchange.request)
        parameters = exchange.request.parameters()
        if not parameters.get("service"):
            remedy = "GET /v1/services lists the services"
            raise RefusedError("bad_request", "the parameter service is missing", remedy)
        plan = exchange.granted_by_member(parameters["service"])
        judge, rows = await self._members(exchange, plan, [member_id], parameters.get("now"))
        head = members.head(judge, exchange.live.definitions.version)
        return json_response({**head, **members.member_json(judge, member_id, rows[0])})

    async def many(self, exchange: Exchange) -> Response:
        """`POST /v1/members:batch`: members in the order asked, repeated where asked twice."""
        service, ids, now = _batch(await exchange.json())
        plan = exchange.granted_by_member(service)
        judge, rows = await self._members(exchange, plan, ids, now)
        written: dict[str, Any] = {}
        for position, (member_id, row) in enumerate(zip(ids, rows, strict=True), start=1):
            if member_id not in written:
                written[member_id] = members.member_json(judge, member_id, row)
            if position % AT_ONCE == 0:
                await asyncio.sleep(0)
        head = members.head(judge, exchange.live.definitions.version)
        return json_response({**head, "members": [written[member_id] for member_id in ids]})

    async def tags(self, exchange: Exchange) -> Response:
        """`GET /v1/members/{member_id}/tags`."""
        member_id = member_in_path(exchange.request)
        parameters = exchange.request.parameters()
        service = parameters.get("service") or exchange.service_with_tags()
        plan = exchange.granted_by_member(service)
        columns = next((view for view in plan.views if view.view.name == TAGS), None)
        if columns is None or "tags" not in columns.names:
            message = f"service {service!r} has no tags"
            raise RefusedError("bad_request", message, "name a service that has")
        judge, rows = await self._members(exchange, plan, [member_id], parameters.get("now"))
        member = judge.member(member_id, rows[0])
        found = members.tags_json(judge, member, judge.cells(columns, rows[0], member))
        head = members.head(judge, exchange.live.definitions.version)
        return json_response({**head, "views": {TAGS: head["views"][TAGS]}, **found})

    async def _members(
        self, exchange: Exchange, plan: Plan, ids: list[str], given: object
    ) -> tuple[Judge, list[Row]]:
        now = exchange.now(given, self._clock.now())
        keys = plan.parts[0].keys([ids])
        judge, rows = await self._read(exchange, plan, [keys], len(ids), now)
        return judge, rows[0]

    async def _read(
        self, exchange: Exchange, plan: Plan, keys: list[list[bytes]], count: int, now: datetime
    ) -> tuple[Judge, list[list[Row]]]:
        exchange.charge(count)
        self._metrics.read(exchange.service, count)
        asked = [(part.read, some) for part, some in zip(plan.parts, keys, strict=True)]
        reading = await self._reader.read_async(asked)
        erasures, policy = exchange.live.erasures, exchange.settings.profiling_consent
        return Judge(plan, reading.watermarks, now, erasures, policy), reading.rows


def _batch(body: Any) -> tuple[str, list[str], object]:
    """Service, members and `now` of a batch request."""
    remedy = 'send {"service": …, "member_ids": […]}'
    if not isinstance(body, dict) or not isinstance(body.get("service"), str):
        raise RefusedError("bad_request", "the body names no service", remedy)
    if unknown := sorted(set(body) - {"service", "member_ids", "now"}):
        raise RefusedError("bad_request", f"the body has an unknown field {unknown[0]!r}", remedy)
    ids = body.get("member_ids")
    if not isinstance(ids, list) or not ids:
        raise RefusedError("bad_request", "member_ids is not a list with members in it", remedy)
    for member_id in ids:
        check_member_id(member_id)
    return body["service"], ids, body.get("now")
