"""Closed-loop HTTP load from a process of its own: each connection asks again once answered.

`python -m bench.http_load` reads a job (JSON) from stdin and writes what it saw to stdout.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import uvloop


class Connection(asyncio.Protocol):
    """One keep-alive connection; a `pace` above 0 leaves so many seconds between requests."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.needed = 0
        self.began = 0.0
        self.is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # TCP, so a full transport
        self.send()

    def send(self) -> None:
        self.began, self.is_waiting = time.perf_counter(), True
        assert self.transport is not None
        self.transport.write(self.load.next_request())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.needed:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = self.buffer[:end].lower().partition(b"content-length:")[2]
            self.needed = end + 4 + int(length.partition(b"\r\n")[0])
        if len(self.buffer) >= self.needed:
            self.answered()

    def answered(self) -> None:
        now = time.perf_counter()
        self.load.record(int(self.buffer[9:12]), now - self.began)
        self.buffer, self.needed, self.is_waiting = b"", 0, False
        assert self.transport is not None
        if now >= self.load.ends:
            self.transport.close()
        elif self.load.pace:
            pause = max(0.0, self.began + self.load.pace - now)
            self.load.loop.call_later(pause, self.send_unless_closed)
        else:
            self.send()

    def send_unless_closed(self) -> None:
        assert self.transport is not None
        if not self.transport.is_closing():
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio calls it so
        self.load.lost(is_failure=self.is_waiting)


class Load:
    """All connections of a run and what they saw."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.loop = asyncio.get_running_loop()
        self.port, self.connections = job["port"], job["connections"]
        self.requests = [text.encode("latin-1") for text in job["requests"]]
        rate = job.get("rate", 0)
        self.pace = self.connections / rate if rate else 0.0
        self.began = time.perf_counter()
        self.ends = self.began + job["seconds"]
        self.seconds: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.dropped = 0
        self.sent = 0
        self.open = 0
        self.done = self.loop.create_future()

    async def run(self) -> dict[str, Any]:
        await asyncio.gather(*(self.connect() for _ in range(self.connections)))
        await self.done
        elapsed = time.perf_counter() - self.began
        ranked = sorted(self.seconds)
        share = lambda q: round(ranked[int(len(ranked) * q)] * 1000, 2)  # noqa: E731  # one line
        return {
            "rps": round(len(ranked) / elapsed, 1),
            "p50_ms": share(0.5),
            "p99_ms": share(0.99),
            "max_ms": round(ranked[-1] * 1000, 2),
            "statuses": dict(self.statuses),
            "dropped": self.dropped,
        }

    async def connect(self) -> None:
        self.open += 1
        while True:
            try:
                await self.loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
            except OSError:
                self.dropped += 1
                if time.perf_counter() > self.ends:
                    self.closed()
                    return
                await asyncio.sleep(0.05)
            else:
                return

    def next_request(self) -> bytes:
        self.sent += 1
        return self.requests[self.sent % len(self.requests)]

    def record(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.seconds.append(seconds)

    def lost(self, *, is_failure: bool) -> None:
        self.dropped += is_failure
        self.closed()
        if time.perf_counter() < self.ends:
            self.loop.create_task(self.connect())

    def closed(self) -> None:
        self.open -= 1
        if not self.open and time.perf_counter() >= self.ends and not self.done.done():
            self.done.set_result(None)


def request_text(path: str, body: Any, token: str = "") -> str:
    """A POST of `body` as it goes over the wire."""
    text = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    return f"{head}Content-Length: {len(text)}\r\n\r\n{text}"


def get_text(path: str, token: str = "") -> str:
    """A GET as it goes over the wire."""
    secret = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{secret}\r\n"


async def _main() -> None:
    job = json.load(sys.stdin)
    json.dump(await Load(job).run(), sys.stdout)


if __name__ == "__main__":
    uvloop.run(_main())
