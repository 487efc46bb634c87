"""uvicorn's HTTP/1.1, with bounds on what a connection may cost before it is a whole request."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pipelines.online.gateway.errors import RefusedError
from pipelines.online.gateway.http import error_response

MAX_HEAD_BYTES = 1 << 16
LOOKS = 4  # times within its patience that a connection is looked at


class BoundedProtocol(HttpToolsProtocol):
    """Hangs up on whoever does not send a whole request within `patience_s`, or too long a head.

    uvicorn watches connections only between two requests, so that a few hundred that send a byte
    now and then, or none, would take every file descriptor.
    """

    def __init__(self, *args: Any, patience_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience_s = patience_s
        self._since: float | None = self.loop.time()  # when what is not yet whole began
        self._is_in_head = False
        self._head_bytes = 0
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch no longer."""
        if self._watch:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and count what belongs to a head that goes on."""
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._since = self.loop.time()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is whole."""
        self._since = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Say in our own form what is no HTTP, and hang up."""
        response = error_response(RefusedError("bad_request", msg, "speak HTTP/1.1"), "")
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: %b\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b"
            % (response.content_type, len(response.body), response.body)
        )
        self.transport.close()

    def _look(self) -> None:
        if self._since is not None and self.loop.time() - self._since > self._patience_s:
            self.transport.abort()
        else:
            self._watch = self.loop.call_later(self._patience_s / LOOKS, self._look)
