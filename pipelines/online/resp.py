"""The Redis protocol, as little of it as bulk writes and quick reads need.

Commands go out as bytes that were packed beforehand, replies come back through hiredis; per reply
this costs a twentieth of what a general client costs. Both connections send many commands at
once and give up after a time-out. A connection that failed is closed and opens anew when next used.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from pipelines.core.errors import UsageError
from pipelines.online.stores import StoreUnavailableError

Reply = Any  # bytes, int, None, a list of them, or a hiredis.ReplyError
CHUNK = 1 << 16
BROKEN = (OSError, hiredis.ProtocolError)


@dataclass(frozen=True)
class Address:
    """Where a Redis listens and how to be let in."""

    host: str = "127.0.0.1"
    port: int = 6379
    path: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""

    @property
    def name(self) -> str:
        """The address as messages show it: without credentials."""
        return self.path or f"{self.host}:{self.port}"

    def context(self) -> ssl.SSLContext | None:
        """The TLS settings, if the URL asked for TLS."""
        return ssl.create_default_context(cafile=self.ca_file or None) if self.tls else None

    def greeting(self) -> list[bytes]:
        """The commands that open a session."""
        commands = []
        if self.password:
            login = [self.username] if self.username else []
            commands.append(pack("AUTH", *login, self.password))
        if self.db:
            commands.append(pack("SELECT", str(self.db)))
        return commands


class Target(NamedTuple):
    """What a Redis URL names."""

    address: Address
    cluster: bool


def parse_url(url: str) -> Target:
    """The address in `redis[s][+cluster]://[user:password@]host:port/db` or `unix://path?db=`.

    Raises:
        UsageError: it is no such URL.
    """
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    if scheme not in {"redis", "rediss", "unix"} or kind not in {"", "cluster"}:
        message = f"REDIS_URL has the unknown scheme {parts.scheme!r}"
        raise UsageError(message, "use redis://, rediss://, unix:// or redis+cluster://")
    options = parse_qs(parts.query)
    db = options.get("db", [parts.path.strip("/") if scheme != "unix" else ""])[0]
    if not (db or "0").isdigit():
        message = f"REDIS_URL names the database {db!r}"
        raise UsageError(message, "databases are numbers: redis://host:6379/0")
    address = Address(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 6379,
        path=parts.path if scheme == "unix" else "",
        db=int(db or 0),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=scheme == "rediss",
        ca_file=options.get("ssl_ca_certs", [""])[0],
    )
    return Target(address, kind == "cluster")


def pack(*words: str | bytes) -> bytes:
    """One command as it goes over the wire."""
    raw = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in raw)


class Connection:
    """A blocking connection, opened at its first use."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._reader = hiredis.Reader()

    def exchange(self, data: bytes | memoryview, count: int) -> list[Reply]:
        """Send packed commands and take in their `count` replies.

        Raises:
            StoreUnavailableError: no connection, or no answer in time.
        """
        fresh = self._socket is None
        try:
            return self._exchange(data, count)
        except BROKEN as error:
            self.close()
            if fresh or isinstance(error, TimeoutError):
                raise unavailable(self._address, error) from error
        try:  # the server may have closed an idle connection, so what was sent never arrived
            return self._exchange(data, count)
        except BROKEN as error:
            self.close()
            raise unavailable(self._address, error) from error

    def stream(self, parts: Iterable[tuple[memoryview, int]]) -> Iterator[list[Reply]]:
        """The replies to each of `parts`; the next part is sent before they are awaited.

        Raises:
            StoreUnavailableError: no connection, or no answer in time.
        """
        awaited, done = 0, False
        try:
            for data, count in parts:
                self._send(data)
                if awaited:
                    yield self._receive(awaited)
                awaited = count
            if awaited:
                yield self._receive(awaited)
            done = True
        except BROKEN as error:
            raise unavailable(self._address, error) from error
        finally:
            if not done:  # replies that nobody took would be given to the next who asks
                self.close()

    def close(self) -> None:
        """Close the socket; the next exchange opens another."""
        if self._socket:
            self._socket.close()
        self._socket, self._reader = None, hiredis.Reader()

    def _exchange(self, data: bytes | memoryview, count: int) -> list[Reply]:
        self._send(data)
        return self._receive(count)

    def _open(self) -> None:
        address = self._address
        if address.path:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(self._timeout_s)
            self._socket.connect(address.path)
        else:
            self._socket = socket.create_connection((address.host, address.port), self._timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context := address.context():
            self._socket = context.wrap_socket(self._socket, server_hostname=address.host)
        greeting = address.greeting()
        refused(address, self._exchange(b"".join(greeting), len(greeting)))

    def _send(self, data: bytes | memoryview) -> None:
        if self._socket is None:
            self._open()
        assert self._socket is not None  # noqa: S101  # just opened
        self._socket.sendall(data)

    def _receive(self, count: int) -> list[Reply]:
        assert self._socket is not None  # noqa: S101  # something was sent
        replies: list[Reply] = []
        while len(replies) < count:
            reply = self._reader.gets()
            if reply is not False:
                replies.append(reply)
            elif received := self._socket.recv(CHUNK):
                self._reader.feed(received)
            else:
                raise ConnectionResetError
        return replies


class AsyncConnection:
    """One connection that all requests of an event loop share: Redis answers them in order."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._line: _Line | None = None
        self._opening: asyncio.Task[_Line] | None = None

    async def exchange(self, data: bytes, count: int) -> list[Reply]:
        """Send packed commands and await their `count` replies.

        Raises:
            StoreUnavailableError: no connection, or no answer in time.
        """
        line = self._line
        try:
            if line is None or line.closed:
                line = await self._open()
            return await line.request(data, count)
        except OSError as error:  # a time-out is one; what comes later on this line is lost with it
            if line:
                line.close()
            raise unavailable(self._address, error) from error

    def close(self) -> None:
        """Close the connection; requests under way fail."""
        if self._line:
            self._line.close()
        self._line = None

    async def _open(self) -> _Line:
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, task: asyncio.Task[_Line]) -> None:
        self._opening = None
        self._line = None if task.cancelled() or task.exception() else task.result()

    async def _connect(self) -> _Line:
        address, loop = self._address, asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_s):
            line = _Line(self._timeout_s)
            if address.path:
                await loop.create_unix_connection(lambda: line, address.path)
            else:
                await loop.create_connection(
                    lambda: line, address.host, address.port, ssl=address.context()
                )
            if greeting := address.greeting():
                refused(address, await line.request(b"".join(greeting), len(greeting)))
        return line


@dataclass(slots=True)
class _Waiting:
    answer: asyncio.Future[list[Reply]]
    count: int
    replies: list[Reply]
    deadline: float


class _Line(asyncio.Protocol):
    """Hands each run of replies to the request that waits for it.

    What requests ask within one turn of the event loop goes out in one piece, and the first one
    waiting is watched for all: replies come in order, so no other can be late before it is.
    """

    def __init__(self, timeout_s: float) -> None:
        self.closed = False
        self._timeout_s = timeout_s
        self._out: list[bytes] = []
        self._watch: asyncio.TimerHandle | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[_Waiting] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    def request(self, data: bytes, count: int) -> asyncio.Future[list[Reply]]:
        answer: asyncio.Future[list[Reply]] = self._loop.create_future()
        if self.closed or self._transport is None:
            answer.set_exception(ConnectionResetError())
            return answer
        deadline = self._loop.time() + self._timeout_s
        self._waiting.append(_Waiting(answer, count, [], deadline))
        if not self._out:
            self._loop.call_soon(self._send)
        self._out.append(data)
        if self._watch is None:
            self._watch = self._loop.call_at(deadline, self._check)
        return answer

    def _send(self) -> None:
        out, self._out = self._out, []
        if self._transport and not self.closed:
            self._transport.write(b"".join(out))

    def _check(self) -> None:
        """Give up on the line if its first request is late; else look again when it would be."""
        self._watch = None
        if not self._waiting:
            return
        deadline = self._waiting[0].deadline
        if deadline > self._loop.time():
            self._watch = self._loop.call_at(deadline, self._check)
        else:
            self._fail(TimeoutError())
            self.close()

    def close(self) -> None:
        self.closed = True
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # TCP, TLS and Unix all are; uvloop's are no subclass, so there is nothing to check by
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while self._waiting:
            reply = self._reader.gets()
            if reply is False:
                return
            first = self._waiting[0]
            first.replies.append(reply)
            if len(first.replies) == first.count:
                self._waiting.popleft()
                if not first.answer.done():
                    first.answer.set_result(first.replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._watch:
            self._watch.cancel()
        # what is no Redis at all ends the line with an error of the parser, or of TLS
        self._fail(exc if isinstance(exc, OSError) else ConnectionResetError(str(exc or "")))

    def _fail(self, error: Exception) -> None:
        while self._waiting:
            answer = self._waiting.popleft().answer
            if not answer.done():
                answer.set_exception(error)


def unavailable(address: Address, error: BaseException) -> StoreUnavailableError:
    """The error for a Redis that does not answer."""
    words = "did not answer in time" if isinstance(error, TimeoutError) else str(error) or "hung up"
    message = f"Redis at {address.name}: {words}"
    return StoreUnavailableError(message, "see that it runs and that REDIS_URL names it")


def refused(
    address: Address, replies: list[Reply], allow: Callable[[str], bool] = lambda _: False
) -> None:
    """Pass unless a reply is an error that `allow` does not let through.

    Raises:
        StoreUnavailableError: Redis refused a command, in its own words.
    """
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError) and not allow(str(reply)):
            message = f"Redis at {address.name} refused: {reply}"
            raise StoreUnavailableError(message, "see to what it says, then run the command again")
