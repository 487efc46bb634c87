"""As much HTTP as the gateway needs, straight on ASGI: what came in, what goes out.

A framework's router, request and response would cost more per request than everything else the
gateway does in Python (`docs/adr/0050-asgi-without-a-framework.md` has the measurement).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

import orjson

from pipelines.online.gateway.errors import RefusedError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON, TEXT, HTML = b"application/json", b"text/plain; charset=utf-8", b"text/html; charset=utf-8"
#: `Cache-Control` keeps members' data out of every cache on the way.
COMMON = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class GoneError(Exception):
    """The caller hung up before its request was whole."""


class Response(NamedTuple):
    """What is sent back."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: Mapping[str, str] = {}


class Request:
    """One request: its head at once, its body when asked for."""

    __slots__ = (
        "_is_too_slow",
        "_receive",
        "authorization",
        "began",
        "headers",
        "id",
        "is_awaited",
        "method",
        "path",
        "query",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._is_too_slow = False
        self.is_awaited = False  # whether the body is being waited for
        self.began = time.perf_counter()
        self.method: str = scope["method"]
        self.path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.id = ""
        header = self.headers.get(b"authorization")
        self.authorization = header.decode("latin-1") if header is not None else None

    def segments(self, prefix: bytes) -> list[str] | None:
        """The path's parts after `prefix`, decoded; `None` if it begins otherwise.

        Raises:
            RefusedError: 400, a part is not UTF-8.
        """
        if not self.path.startswith(prefix):
            return None
        try:
            return [
                unquote_to_bytes(part).decode() for part in self.path[len(prefix) :].split(b"/")
            ]
        except UnicodeDecodeError:
            raise RefusedError(
                "bad_request", "the path is not UTF-8", "percent-encode it"
            ) from None

    def parameters(self) -> dict[str, str]:
        """The query's parameters, the last of each name.

        Raises:
            RefusedError: 400, the query is not UTF-8.
        """
        if not self.query:
            return {}
        try:
            text = self.query.decode("ascii")
            return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=64))
        except ValueError:
            raise RefusedError(
                "bad_request", "the query is not UTF-8", "percent-encode it"
            ) from None

    async def json(self, max_bytes: int) -> Any:
        """The body as JSON.

        Raises:
            RefusedError: it is no JSON, is said to be something else, is too large or too slow.
        """
        said = self.headers.get(b"content-type", JSON)
        if said != JSON:
            _check_media_type(said)
        self.is_awaited = True
        try:
            body = await self._body(max_bytes)
        except asyncio.CancelledError:
            if not self._is_too_slow:
                raise
            asyncio.current_task().uncancel()  # type: ignore[union-attr]  # a request is a task
            message, headers = "the body did not come in time", {"Connection": "close"}
            raise RefusedError("body_timeout", message, "send it again", headers) from None
        finally:
            self.is_awaited = False
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise RefusedError("bad_json", f"the body is not JSON: {error}") from None

    def give_up(self, task: asyncio.Task[Any]) -> None:
        """Stop waiting for the rest of the body in `task`."""
        self._is_too_slow = True
        task.cancel()

    async def _body(self, max_bytes: int) -> bytes:
        pieces, size, more = [], 0, True
        said = self.headers.get(b"content-length", b"")
        if said.isdigit() and int(said) > max_bytes:  # not worth waiting for
            raise _too_large(max_bytes)
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > max_bytes:
                raise _too_large(max_bytes)
            more = message.get("more_body", False)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] = {}) -> Response:
    """`value` as JSON; instants are written in UTC with `Z`."""
    return Response(orjson.dumps(value, option=orjson.OPT_UTC_Z), status, JSON, headers)


def error_response(refused: RefusedError, request_id: str) -> Response:
    """The error as callers get it."""
    error = {
        "code": refused.code,
        "message": refused.message,
        "remedy": refused.remedy,
        "request_id": request_id,
    }
    return json_response({"error": error}, refused.status, refused.headers)


async def send_response(send: Send, response: Response, request_id: str, *, head: bool) -> None:
    """Send the response, without its body where only the head was asked for."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        (b"x-request-id", request_id.encode("latin-1")),
        *COMMON,
    ]
    if response.headers:
        headers += [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in response.headers.items()
        ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else response.body})


def _too_large(max_bytes: int) -> RefusedError:
    said = f"the body is larger than {max_bytes} bytes"
    return RefusedError("body_too_large", said, "ask for fewer members at once")


def _check_media_type(said: bytes) -> None:
    kind = said.partition(b";")[0].strip().lower()
    if kind != JSON and not kind.endswith(b"+json"):
        message = f"the body is {kind.decode('latin-1')}"
        raise RefusedError("unsupported_media_type", message, "send application/json")
