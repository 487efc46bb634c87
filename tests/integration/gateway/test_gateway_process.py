"""The gateway as it is run: a process on a port, with a Redis that comes and goes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from pipelines.core.home import Brand, Home
from pipelines.online.access.keys import create_key
from tests import gateway_sample as sample
from tests.conftest import free_port, missing
from tests.integration.gateway.conftest import answers, spawned, until

pytestmark = pytest.mark.integration

EVERYWHERE = "0.0.0.0"  # noqa: S104  # what is refused first and allowed later
URL = "/v1/members/anna?service=lenient_v1"  # takes values however old


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    home = Home(tmp_path)
    brand = home.brand("sample")
    brand.root.mkdir(parents=True)
    sample.catalog().save(brand.catalog)
    home.choose(brand)
    return brand


class Redis:
    """A redis-server of our own that can be stopped, started and frozen."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("redis-server")
        if not binary:
            missing("Redis", "put redis-server on the path; this test stops and starts it")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        self.command = [str(binary), *map(str, options)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, brand: Brand) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        until(self.accepts)
        sample.redis_store(brand, self.url).close()

    def accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def redis_of_ours(tmp_path: Path) -> Iterator[Redis]:
    found = Redis(tmp_path)
    yield found
    found.stop()


def test_it_starts_without_feast_dagster_or_dbt() -> None:
    """So that a worker is back within seconds; `bench/gateway.py` measures how many."""
    code = (
        "import sys, pipelines.online.gateway.server, pipelines.online.redis_store, "
        "pipelines.online.sqlite_store, uvicorn, uvloop\n"
        "print([m for m in ('feast', 'dagster', 'dbt', 'duckdb', 'polars') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_process_serves_and_stops_in_order(brand: Brand) -> None:
    sample.sqlite_store(brand).close()
    with spawned(brand.root.parents[1]) as url:
        assert until(lambda: answers(f"{url}/readyz")) < 10  # a tenth of that where it is quiet
        assert httpx.get(url + URL).json()["features"]["member_orders_v1"]["order_count_90d"][
            "value"
        ] == 3  # fmt: skip
    (audit,) = (brand.root / "audit").iterdir()
    assert json.loads(audit.read_text())["service"] == "lenient_v1"
    log = (brand.root.parents[1] / "gateway.log").read_text()
    assert "anna" not in log
    assert "Traceback" not in log


def test_it_refuses_to_listen_beyond_loopback_until_access_is_set_up(brand: Brand) -> None:
    sample.sqlite_store(brand).close()
    command = [sys.executable, "-m", "pipelines.online.gateway", "--host", EVERYWHERE]
    environment = {**os.environ, "HUITOU_HOME": str(brand.root.parents[1])}
    refused = subprocess.run(
        [*command, "--port", "0"], env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "huitou keys create" in refused.stderr
    _, token = create_key(brand, "app", ["lenient_v1"], now=datetime.now(UTC))
    with spawned(brand.root.parents[1], "--host", EVERYWHERE) as url:
        until(lambda: answers(f"{url}/readyz"))
        assert httpx.get(url + URL).status_code == 401
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(url + URL, headers=headers).status_code == 200


def test_a_redis_that_is_away_hangs_or_comes_back(brand: Brand, redis_of_ours: Redis) -> None:
    """503 with Retry-After within the time-out, and service again without a restart."""
    redis = redis_of_ours
    variables = {
        "HUITOU_ONLINE_STORE": "redis",
        "REDIS_URL": redis.url,
        "HUITOU_GATEWAY_TIMEOUT_S": "0.5",
    }
    with (
        spawned(brand.root.parents[1], **variables) as url,
        httpx.Client(base_url=url, timeout=5) as client,
    ):

        def unavailable() -> float:
            began = time.monotonic()
            answer = client.get(URL)
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "store_unavailable"
            assert answer.headers["retry-after"] == "1"
            return time.monotonic() - began

        until(lambda: answers(f"{url}/healthz"))  # it starts before its store does
        assert answers(f"{url}/readyz", 503)
        unavailable()
        redis.start(brand)
        until(lambda: client.get(URL).status_code == 200, 5)
        with redis.frozen():
            assert unavailable() < 3  # 0.5 s, and what a busy machine adds
        until(lambda: client.get(URL).status_code == 200, 5)
        redis.stop()
        unavailable()
        redis.start(brand)
        until(lambda: client.get(URL).status_code == 200, 5)


def test_definitions_change_under_load_without_a_failed_request(brand: Brand) -> None:
    sample.sqlite_store(brand).close()
    statuses: list[int] = []
    stop = threading.Event()
    with spawned(brand.root.parents[1]) as url:
        until(lambda: answers(f"{url}/readyz"))

        def ask() -> None:
            with httpx.Client(base_url=url, timeout=10) as client:
                while not stop.is_set():
                    statuses.append(client.get(URL).status_code)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        version = ""
        for number in range(5):
            extra = sample.service(f"extra_{number}_v1", sample.TAGS)
            catalog = sample.catalog(services=(*sample.SERVICES, extra))
            catalog.save(brand.catalog)
            version = catalog.version
            time.sleep(0.6)
        until(lambda: httpx.get(f"{url}/v1/services").json()["definition_version"] == version)
        stop.set()
        for thread in threads:
            thread.join()
    assert len(statuses) > 100
    assert set(statuses) == {200}


def test_a_body_that_never_comes_is_given_up(brand: Brand) -> None:
    sample.sqlite_store(brand).close()
    with spawned(brand.root.parents[1], HUITOU_GATEWAY_BODY_TIMEOUT_S="0.5") as url:
        until(lambda: answers(f"{url}/readyz"))
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as slow:
            slow.sendall(
                b"POST /v1/members:batch HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_connections_that_send_no_whole_request_are_cut(brand: Brand) -> None:
    """Else a few hundred of them would keep everybody out."""
    sample.sqlite_store(brand).close()
    with spawned(brand.root.parents[1], HUITOU_GATEWAY_BODY_TIMEOUT_S="0.2") as url:
        until(lambda: answers(f"{url}/readyz"))
        host, port = url.removeprefix("http://").split(":")
        head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
        for sent in (b"", b"GET /hea", head, b"POST /nope HTTP/1.1\r\nContent-Length: 9\r\n\r\n"):
            with socket.create_connection((host, int(port)), timeout=10) as slow:
                slow.sendall(sent)
                assert cut(slow)
        with httpx.Client(base_url=url) as idle:
            first = idle.get("/healthz").extensions["network_stream"]
            time.sleep(3.5)  # longer than a request may take
            assert idle.get("/healthz").extensions["network_stream"] is first


def test_a_head_without_end_is_refused(brand: Brand) -> None:
    sample.sqlite_store(brand).close()
    with spawned(brand.root.parents[1]) as url:
        until(lambda: answers(f"{url}/readyz"))
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as talker:
            talker.sendall(b"GET /healthz HTTP/1.1\r\n")
            with suppress(OSError):  # it may hang up while we talk
                for number in range(20):
                    talker.sendall(b"X-%d: %b\r\n" % (number, b"a" * 10_000))
                    time.sleep(0.01)
            assert cut(talker)
        with socket.create_connection((host, int(port)), timeout=10) as odd:
            odd.sendall(b"this is no HTTP\r\n\r\n")
            answer = odd.recv(1000)
            assert answer.startswith(b"HTTP/1.1 400")
            assert b'"code":"bad_request"' in answer


def cut(connection: socket.socket) -> bool:
    """Whether the other side hangs up, after whatever it says."""
    try:
        while connection.recv(1000):
            pass
    except ConnectionResetError:
        return True
    return True
