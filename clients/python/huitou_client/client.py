"""The two clients: `Client` blocks, `AsyncClient` awaits; otherwise they are the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from huitou_client.answers import Answer, Tags
from huitou_client.retries import Retries, checked

A = TypeVar("A", bound=Answer)

AT_ONCE = 1000
TIMEOUT_S = 2.0


class Client:
    """A blocking client; safe to share between threads."""

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._http = httpx.Client(
            base_url=url, headers=_headers(key), timeout=timeout_s, transport=transport
        )

    def member(self, service: type[A], member_id: str, *, now: datetime | None = None) -> A:
        """All values of a service for one member.

        Raises:
            UnavailableError: no answer in time.
            GatewayError: the gateway refuses.
        """
        return _one(service, self._ask(*_member(service, member_id, now)))

    def members(
        self, service: type[A], member_ids: Iterable[str], *, now: datetime | None = None
    ) -> Iterator[A]:
        """Members in the order given, fetched a thousand at a time as they are consumed.

        Raises:
            UnavailableError: no answer in time.
            GatewayError: the gateway refuses.
        """
        for some in _chunks(member_ids):
            yield from _many(service, self._ask(*_batch(service, some, now)))

    def tags(self, member_id: str, *, service: str = "", now: datetime | None = None) -> Tags:
        """The tags of a member that hold now.

        Raises:
            UnavailableError: no answer in time.
            GatewayError: the gateway refuses.
        """
        return Tags.from_json(self._ask(*_tags(member_id, service, now)))

    def services(self) -> list[dict[str, Any]]:
        """The services this key may read, with their features."""
        found: list[dict[str, Any]] = self._ask("GET", "/v1/services", {})["services"]
        return found

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, options: dict[str, Any]) -> Any:
        attempt = 0
        while True:
            attempt += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(attempt, outcome)
            if wait is None:
                return checked(outcome).json()
            time.sleep(wait)


class AsyncClient:
    """An awaiting client, for one event loop."""

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._http = httpx.AsyncClient(
            base_url=url, headers=_headers(key), timeout=timeout_s, transport=transport
        )

    async def member(self, service: type[A], member_id: str, *, now: datetime | None = None) -> A:
        """All values of a service for one member.

        Raises:
            UnavailableError: no answer in time.
            GatewayError: the gateway refuses.
        """
        return _one(service, await self._ask(*_member(service, member_id, now)))

    async def members(
        self, service: type[A], member_ids: Iterable[str], *, now: datetime | None = None
    ) -> list[A]:
        """Members in the order given, fetched a thousand at a time.

        Raises:
            UnavailableError: no answer in time.
            GatewayError: the gateway refuses.
        """
        found: list[A] = []
        for some in _chunks(member_ids):
            found += _many(service, await self._ask(*_batch(service, some, now)))
        return found

    async def tags(self, member_id: str, *, service: str = "", now: datetime | None = None) -> Tags:
        """The tags of a member that hold now.

        Raises:
            UnavailableError: no answer in time.
            GatewayError: the gateway refuses.
        """
        return Tags.from_json(await self._ask(*_tags(member_id, service, now)))

    async def services(self) -> list[dict[str, Any]]:
        """The services this key may read, with their features."""
        found: list[dict[str, Any]] = (await self._ask("GET", "/v1/services", {}))["services"]
        return found

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ask(self, method: str, path: str, options: dict[str, Any]) -> Any:
        attempt = 0
        while True:
            attempt += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(method, path, **options)
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(attempt, outcome)
            if wait is None:
                return checked(outcome).json()
            await asyncio.sleep(wait)


Call = tuple[str, str, dict[str, Any]]


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _member(service: type[Answer], member_id: str, now: datetime | None) -> Call:
    params = {"service": service.service, **_now(now)}
    return "GET", f"/v1/members/{quote(member_id, safe='')}", {"params": params}


def _batch(service: type[Answer], member_ids: list[str], now: datetime | None) -> Call:
    body = {"service": service.service, "member_ids": member_ids, **_now(now)}
    return "POST", "/v1/members:batch", {"json": body}


def _tags(member_id: str, service: str, now: datetime | None) -> Call:
    params = {**({"service": service} if service else {}), **_now(now)}
    return "GET", f"/v1/members/{quote(member_id, safe='')}/tags", {"params": params}


def _now(now: datetime | None) -> dict[str, str]:
    return {"now": now.isoformat()} if now is not None else {}


def _one(service: type[A], answer: Any) -> A:
    return service.from_json(answer, answer)


def _many(service: type[A], answer: Any) -> list[A]:
    return [service.from_json(answer, member) for member in answer["members"]]


def _chunks(member_ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(member_ids)
    while some := list(islice(rest, AT_ONCE)):
        yield some
