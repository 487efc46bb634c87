"""The gateway as an ASGI application: routes, access, limits, logs.

What the routes do stands in `reads.py` and `about.py`; what a value may say in `judge.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines.core.clock import Clock, SystemClock
from pipelines.core.home import Brand
from pipelines.online.access.caller import LOCAL, Caller, CredentialsError
from pipelines.online.access.oidc import IssuerUnavailableError
from pipelines.online.gateway.about import About
from pipelines.online.gateway.errors import RefusedError
from pipelines.online.gateway.exchange import Exchange
from pipelines.online.gateway.http import (
    GoneError,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    error_response,
    send_response,
)
from pipelines.online.gateway.journal import FLUSH_S, Journal
from pipelines.online.gateway.live import Live, Reloader
from pipelines.online.gateway.metrics import Metrics
from pipelines.online.gateway.reads import Reads
from pipelines.online.gateway.settings import Settings
from pipelines.online.stores import OnlineReader, StoreUnavailableError

log = logging.getLogger(__name__)

RELOAD_S = 0.5
RETRY_S = 1
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
MEMBERS = b"/v1/members/"
REQUEST_LINE = ("at", "who", "method", "route", "status", "ms", "request_id")
READ_LINE = ("at", "who", "service", "members", "status", "request_id")


@dataclass(frozen=True, slots=True)
class Route:
    """A path: its template for logs and metrics, its one method, who may call it."""

    template: str
    method: str
    handler: Callable[[Exchange], Awaitable[Response]]
    is_public: bool = False


class Gateway:
    """The application. `reader` may be down at any time; nothing else is needed to start.

    `is_trusting` asks for no keys: for calls within a process that can open the store itself.

    Raises:
        UsageError: the brand has no definitions yet.
    """

    def __init__(
        self,
        brand: Brand,
        reader: OnlineReader,
        *,
        settings: Settings | None = None,
        clock: Clock | None = None,
        is_trusting: bool = False,
    ) -> None:
        self.settings = settings or Settings.from_env()
        self._is_trusting = is_trusting
        self._under_way: dict[Request, asyncio.Task[Any]] = {}
        self._metrics = Metrics(lambda: len(self._under_way))
        self.reader = reader
        self._reloader = Reloader(brand, reader, self._metrics)
        self._requests = Journal(REQUEST_LINE, None)
        self._reads = Journal(READ_LINE, brand.root / "audit")
        self._ids = itertools.count(1)
        self._run = os.urandom(4).hex()
        clock = clock or SystemClock()
        reads, about = Reads(reader, clock, self._metrics), About(reader, clock, self._metrics)
        self._routes = _table(reads, about)
        self._member = Route("/v1/members/{member_id}", "GET", reads.one)
        self._tags = Route("/v1/members/{member_id}/tags", "GET", reads.tags)

    @property
    def live(self) -> Live:
        """What requests are answered by at this moment."""
        return self._reloader.live

    def reload(self) -> None:
        """Take up changed files now; the running gateway does so twice a second."""
        self._reloader.check()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event, as ASGI has it."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        request.id = self._id_of(request)
        exchange = Exchange(request, self._reloader.live, self.settings)
        template = "unknown"
        self._under_way[request] = asyncio.current_task()  # type: ignore[assignment]  # in one
        try:
            route = self._route(request)
            template = route.template
            response = await self._answer(route, exchange)
        except RefusedError as refused:
            response = error_response(refused, request.id)
        except GoneError:
            return
        except Exception:
            log.exception("request %s failed", request.id)
            response = error_response(RefusedError("internal", "the gateway failed"), request.id)
        finally:
            del self._under_way[request]
        self._note(exchange, template, response.status)
        await send_response(send, response, request.id, head=request.method == "HEAD")

    async def _answer(self, route: Route, exchange: Exchange) -> Response:
        if not route.is_public:
            if len(self._under_way) > self.settings.max_in_flight:
                raise _busy("overloaded", "too many requests at once")
            exchange.authenticated = await self._authenticate(exchange)
        try:
            return await route.handler(exchange)
        except StoreUnavailableError as error:
            log.warning("store: %s", error.message)
            raise _busy("store_unavailable", "the online store does not answer") from error

    async def _authenticate(self, exchange: Exchange) -> Caller:
        if self._is_trusting:
            return LOCAL
        access, header = exchange.live.access, exchange.request.authorization
        now = datetime.now(UTC)  # credentials live by the wall clock, whatever time is served
        try:
            caller = access.at_once(header, now)
            if caller is None:
                caller = await asyncio.to_thread(access.after_work, header, now)
        except CredentialsError as error:
            headers = {"WWW-Authenticate": 'Bearer realm="huitou"'}
            raise RefusedError("unauthorized", error.message, error.remedy, headers) from None
        except IssuerUnavailableError as error:
            log.warning("oidc: %s", error.message)
            raise _busy("issuer_unavailable", "tokens cannot be verified now") from error
        return caller

    def _note(self, exchange: Exchange, template: str, status: int) -> None:
        """Count and log the request: no member, no path, no query."""
        request, caller = exchange.request, exchange.authenticated
        seconds, now = time.perf_counter() - request.began, datetime.now(UTC)
        who = caller.who if caller else None
        self._metrics.answered(template, status, seconds)
        if exchange.members:
            self._reads.add((now, who, exchange.service, exchange.members, status, request.id))
        if self.settings.request_log:
            ms = round(seconds * 1000, 2)
            self._requests.add((now, who, request.method, template, status, ms, request.id))

    def _id_of(self, request: Request) -> str:
        given = request.headers.get(b"x-request-id")
        if given and REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        return f"{self._run}-{next(self._ids)}"

    def _route(self, request: Request) -> Route:
        route = self._routes.get(request.path)
        if route is None:
            parts = request.segments(MEMBERS) or [""]
            if not parts[0] or parts[1:] not in ([], ["tags"]):
                raise RefusedError("not_found", "no such path", "GET /docs shows those there are")
            route = self._tags if parts[1:] else self._member
        if request.method != route.method and (request.method, route.method) != ("HEAD", "GET"):
            allowed = "GET, HEAD" if route.method == "GET" else route.method
            message = f"{route.template} answers {allowed}"
            raise RefusedError("method_not_allowed", message, headers={"Allow": allowed})
        return route

    async def _live(self, receive: Receive, send: Send) -> None:
        task: asyncio.Task[None] | None = None
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                task = asyncio.create_task(self._tend())
                await send({"type": "lifespan.startup.complete"})
                continue
            if task:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            self.flush()
            self.reader.close()
            await send({"type": "lifespan.shutdown.complete"})
            return

    async def _tend(self) -> None:
        """Write the logs and look for changed files, a few times a second."""
        checked = time.monotonic()
        while True:
            await asyncio.sleep(FLUSH_S)
            self.flush()
            self.give_up_slow()
            if time.monotonic() - checked >= RELOAD_S:
                checked = time.monotonic()
                self._reloader.check()

    def give_up_slow(self) -> None:
        """Answer those whose body has been awaited for too long."""
        latest = time.perf_counter() - self.settings.body_timeout_s
        for request, task in list(self._under_way.items()):
            if request.is_awaited and request.began < latest:
                request.give_up(task)

    def flush(self) -> None:
        """Write the logs now; the running gateway does so a few times a second."""
        self._requests.flush()
        self._reads.flush()


def _table(reads: Reads, about: About) -> dict[bytes, Route]:
    routes = (
        Route("/get-online-features", "POST", reads.feast),
        Route("/v1/members:batch", "POST", reads.many),
        Route("/v1/services", "GET", about.services),
        Route("/openapi.json", "GET", about.openapi),
        Route("/metrics", "GET", about.metrics),
        Route("/docs", "GET", about.docs, is_public=True),
        Route("/healthz", "GET", about.healthz, is_public=True),
        Route("/readyz", "GET", about.readyz, is_public=True),
    )
    return {route.template.encode(): route for route in routes}


def _busy(code: str, message: str) -> RefusedError:
    return RefusedError(code, message, "try again soon", {"Retry-After": str(RETRY_S)})
