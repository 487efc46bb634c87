"""Services for the tests: found by their usual variables, else started here, else skipped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
import redis

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
os.environ.setdefault("FEAST_USAGE", "False")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # tests side by side leave no core to spin on

REQUIRED = os.environ.get("HUITOU_REQUIRE_SERVICES") == "1"


def missing(service: str, remedy: str) -> None:
    """Skip for want of a service, or fail where every service is required."""
    words = f"{service} is missing: {remedy}"
    if REQUIRED:
        pytest.fail(words)
    pytest.skip(words)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Redis: `REDIS_URL`, else a `redis-server` of our own."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    binary = shutil.which("redis-server")
    if not binary:
        missing("Redis", "set REDIS_URL or put redis-server on the path")
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    server = subprocess.Popen([str(binary), *words], stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port) as client:
            _until(client.ping, redis.ConnectionError)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """An empty real Redis; whatever a test leaves there is gone after it."""
    with redis.Redis.from_url(redis_server) as client:
        if os.environ.get("REDIS_URL") and client.dbsize():
            missing("an empty Redis database", "point REDIS_URL at one that holds nothing")
        yield redis_server
        client.flushdb()


def _until(attempt: Callable[[], object], error: type[Exception], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            attempt()
        except error:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
