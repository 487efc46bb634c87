"""The gateway against `feast serve`, one worker each, the same request, in one run.

`python -m bench.gateway` prints requests a second, latencies and their ratios: Feast's server as it
comes, tuned (no access log, workers never restarted), and ours with keys, both logs and honest
statuses on, in turns. Then batches of 100 members, a minute at half of our maximum, and memory.
One view of 7 features (2 Float64, 2 Int64, String, Bool, Array(String)) by member key, in Redis.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.http_load import get_text, request_text
from pipelines.core.catalog import Catalog, Feature, FeatureView, Service
from pipelines.core.home import DBT_PROJECT, Brand, Home
from pipelines.online.access.keys import create_key
from pipelines.online.encoder import encode
from pipelines.online.redis_store import RedisStore
from pipelines.online.stores import Published

MEMBERS = 10_000
CONNECTIONS = 16
FEATURES = {
    "share": ("double", pa.float64(), "Float64"),
    "score": ("double", pa.float64(), "Float64"),
    "orders": ("bigint", pa.int64(), "Int64"),
    "days": ("bigint", pa.int64(), "Int64"),
    "channel": ("varchar", pa.string(), "String"),
    "active": ("boolean", pa.bool_(), "Bool"),
    "tags": ("varchar[]", pa.list_(pa.string()), "Array(String)"),
}
VIEW = FeatureView(
    "bench_v1", "Seven features.", "member", ("member_id",),
    tuple(Feature(name, kind, name) for name, (kind, _, _) in FEATURES.items()),
    10**9, 10**9, "data", "bench", "none", "",
)  # fmt: skip
SERVICE = Service(
    "bench_service_v1", "All of it.", "data", tuple((VIEW.name, f) for f in FEATURES), False, True
)
DEFINITIONS = """
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Array, Bool, Float64, Int64, String

member = Entity(name="member", join_keys=["member_id"], value_type=ValueType.STRING)
source = FileSource(path={path!r}, timestamp_field="event_timestamp")
view = FeatureView(
    name="bench_v1", entities=[member], ttl=timedelta(0), source=source,
    schema=[Field(name="member_id", dtype=String), {fields}],
)
service = FeatureService(name="bench_service_v1", features=[view])
"""
STORE = """
project: {project}
provider: local
registry: {folder}/registry.db
entity_key_serialization_version: 3
online_store: {{type: redis, connection_string: "127.0.0.1:{port}"}}
"""


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(prog="bench.gateway", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="a measurement, in all rounds")
    parser.add_argument("--rounds", type=int, default=3, help="turns that the servers take")
    parser.add_argument("--steady", type=float, default=60.0, help="at half the maximum rate")
    parser.add_argument("--skip-feast", action="store_true", help="ours alone, while developing")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(redis(folder))
        brand, token = prepare(folder, port)
        servers = {"gateway": stack.enter_context(gateway(brand, port, token))}
        if not given.skip_feast:
            command = apply(folder, port, brand)
            servers["feast"] = stack.enter_context(feast(command))
            servers["feast_tuned"] = stack.enter_context(feast(command, *TUNED))
        report = compare(servers, given.seconds / given.rounds, given.rounds)
        ours = servers["gateway"]
        report |= budgets(ours, given.seconds / 3)
        ours.memory_mb = memory_mb(ours.pid)
        rate = report["gateway"]["rps"] / 2
        report["gateway steady"] = load(ours, singles(token), CONNECTIONS, given.steady, rate)
        memory = {name: [one.memory_mb, memory_mb(one.pid)] for name, one in servers.items()}
    show(report, memory, ours.ready_s)


@dataclass
class Server:
    """A server under load: where it listens, what it takes, how it began."""

    pid: int
    port: int
    token: str
    ready_s: float
    memory_mb: float = 0.0


def compare(servers: dict[str, Server], seconds: float, rounds: int) -> dict[str, Any]:
    """What each server did, in turns, so that other work on the machine falls on all alike."""
    taken: dict[str, list[dict[str, Any]]] = {}
    for server in servers.values():
        load(server, singles(server.token), CONNECTIONS, 2)  # warm
        server.memory_mb = memory_mb(server.pid)
    for _ in range(rounds):
        for name, server in servers.items():
            found = load(server, singles(server.token), CONNECTIONS, seconds)
            taken.setdefault(name, []).append(found)
            many = batches("/get-online-features", server.token)
            taken.setdefault(f"{name} batch", []).append(load(server, many, 4, seconds))
    return {name: _together(found) for name, found in taken.items()}


def _together(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The median round, number by number; failures of all rounds."""
    numbers = ("rps", "p50_ms", "p99_ms", "max_ms", "cpu_us")
    statuses: Counter[str] = Counter()
    for found in rounds:
        statuses.update(found["statuses"])
    middle = {name: statistics.median(found[name] for found in rounds) for name in numbers}
    dropped = sum(found["dropped"] for found in rounds)
    return {**middle, "statuses": dict(statuses), "dropped": dropped}


def budgets(server: Server, seconds: float) -> dict[str, Any]:
    """The real services, as their consumers use them: one member, and a thousand at a time."""
    ids = [f"m{i:07d}" for i in range(MEMBERS)]
    sidebar = [get_text(f"/v1/members/{one}?service=chat_sidebar_v1", server.token) for one in ids]
    thousands = [ids[at : at + 1000] for at in range(0, MEMBERS, 1000)]
    bodies = [{"service": "mass_sender_v1", "member_ids": some} for some in thousands]
    senders = [request_text("/v1/members:batch", body, server.token) for body in bodies]
    return {
        "chat_sidebar_v1 x 1": load(server, sidebar, 4, seconds),
        "mass_sender_v1 x 1000": load(server, senders, 1, seconds),
    }


# -- the two servers ---------------------------------------------------------------

TUNED = ("--no-access-log", "--max-requests", "10000000", "--max-requests-jitter", "0")


def apply(folder: Path, port: int, brand: Brand) -> list[str]:
    """Feast's definitions of the same view, applied; the command that works on them."""
    repo = folder / "repo"
    repo.mkdir()
    fields = ", ".join(f"Field(name={n!r}, dtype={t})" for n, (_, _, t) in FEATURES.items())
    path = str(folder / "rows.parquet")
    (repo / "definitions.py").write_text(DEFINITIONS.format(path=path, fields=fields))
    store = STORE.format(project=brand.project, folder=folder, port=port)
    (repo / "feature_store.yaml").write_text(store)
    command = [str(Path(sys.executable).with_name("feast")), "-c", str(repo)]
    subprocess.run([*command, "apply"], check=True, stdout=subprocess.DEVNULL, env=_quiet())
    return command


@contextmanager
def feast(command: list[str], *options: str) -> Iterator[Server]:
    """`feast serve` with one worker."""
    port, began = _free_port(), time.perf_counter()
    with process([*command, "serve", "--port", str(port), *options], _quiet()) as running:
        wait_for(port, "/health")
        yield Server(running.pid, port, "", time.perf_counter() - began)


@contextmanager
def gateway(brand: Brand, redis_port: int, token: str) -> Iterator[Server]:
    """Ours, as `huitou serve` runs it."""
    port, began = _free_port(), time.perf_counter()
    environment = {
        **os.environ,
        "HUITOU_HOME": str(brand.root.parents[1]),
        "HUITOU_ONLINE_STORE": "redis",
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
    }
    command = [sys.executable, "-m", "pipelines.online.gateway"]
    with process([*command, "--brand", brand.name, "--port", str(port)], environment) as running:
        wait_for(port, "/readyz")
        yield Server(running.pid, port, token, time.perf_counter() - began)


# -- the data ---------------------------------------------------------------


def prepare(folder: Path, port: int) -> tuple[Brand, str]:
    """A brand with one view, published to Redis; and a key that may read it."""
    brand = Home(folder / "home").brand("bench")
    brand.root.mkdir(parents=True)
    real = Catalog.from_dbt(DBT_PROJECT)
    services = {**real.services, SERVICE.name: SERVICE}
    Catalog({**real.views, VIEW.name: VIEW}, services).save(brand.catalog)
    rows = _rows()
    pq.write_table(pa.Table.from_batches([rows]), folder / "rows.parquet")
    store = RedisStore(f"redis://127.0.0.1:{port}/0", brand.project)
    store.write(VIEW, encode(VIEW, rows), guard=False)
    for view in real.views.values():
        store.write(view, encode(view, _any_rows(view)), guard=False)
    now = datetime.now(UTC)
    for name in (VIEW.name, *real.views):
        store.set_watermark(name, Published(now, now, "bench", now, "bench"))
    store.close()
    _, token = create_key(brand, "bench", ["*"], now=now, rate=10**9, burst=10**9)
    return brand, token


def _any_rows(view: FeatureView) -> pa.RecordBatch:
    """Rows of a real view: plausible in type and size, not in meaning."""
    instant = pa.timestamp("us", "UTC")
    now, never = pa.scalar(datetime.now(UTC), instant), datetime(9999, 12, 31, tzinfo=UTC)
    tags = [f"{group}.tag_{n}" for group in ("lifecycle", "rfm", "coupon") for n in range(4)]
    coupons = json.dumps([{"issue_id": f"i{n}", "expires_at": None} for n in range(3)])
    values: dict[str, Any] = {
        "String": pa.scalar("miniapp"),
        "open_coupons": pa.scalar(coupons),
        "Int64": pa.scalar(12_345),
        "Float64": pa.scalar(0.125),
        "Bool": pa.scalar(True),
        "UnixTimestamp": now,
        "Array(String)": pa.scalar(tags, pa.list_(pa.string())),
        "Array(UnixTimestamp)": pa.scalar([now.as_py()] * len(tags), pa.list_(instant)),
        "tag_until": pa.scalar([never] * len(tags), pa.list_(instant)),
    }
    columns = {"member_id": pa.array([f"m{i:07d}" for i in range(MEMBERS)])}
    for feature in view.features:
        value = values.get(feature.name, values[feature.feast_type])
        columns[feature.name] = pa.array([value.as_py()] * MEMBERS, value.type)
    for name in ("event_timestamp", "created_timestamp"):
        columns[name] = pa.array([now.as_py()] * MEMBERS, instant)
    return pa.RecordBatch.from_pydict(columns)


def _rows() -> pa.RecordBatch:
    now = pa.array([datetime.now(UTC)] * MEMBERS, pa.timestamp("us", "UTC"))
    number = range(MEMBERS)
    columns = {
        "member_id": pa.array([f"m{i:07d}" for i in number]),
        "share": pa.array([i / MEMBERS for i in number]),
        "score": pa.array([i * 0.37 for i in number]),
        "orders": pa.array([i % 40 for i in number]),
        "days": pa.array([i % 400 for i in number]),
        "channel": pa.array(["store" if i % 3 else "miniapp" for i in number]),
        "active": pa.array([i % 2 == 0 for i in number]),
        "tags": pa.array([["lifecycle.cooling", f"rfm.{i % 8}", "coupon.lover"] for i in number]),
        "event_timestamp": now,
        "created_timestamp": now,
    }
    return pa.RecordBatch.from_pydict(columns)


def singles(token: str = "") -> list[str]:
    """One member a request, by Feast's protocol."""
    return [_feast_request([f"m{i:07d}"], token) for i in range(0, MEMBERS, 20)]


def batches(path: str, token: str = "") -> list[str]:
    """A hundred members a request."""
    ids = [[f"m{i:07d}" for i in range(at, at + 100)] for at in range(0, MEMBERS, 100)]
    if path == "/get-online-features":
        return [_feast_request(some, token) for some in ids]
    service = {"service": SERVICE.name}
    return [request_text(path, {**service, "member_ids": some}, token) for some in ids]


def _feast_request(ids: list[str], token: str) -> str:
    body = {"feature_service": SERVICE.name, "entities": {"member_id": ids}}
    return request_text("/get-online-features", body, token)


# -- processes ---------------------------------------------------------------


def load(
    server: Server, requests: list[str], connections: int, seconds: float, rate: float = 0.0
) -> dict[str, Any]:
    """What `http_load` saw, from a process of its own, and the CPU time a request cost the server.

    CPU time is what other work on the machine blurs least.
    """
    job = {
        "port": server.port,
        "requests": requests,
        "connections": connections,
        "seconds": seconds,
        "rate": rate,
    }
    command = [sys.executable, "-m", "bench.http_load"]
    before = cpu_seconds(server.pid)
    done = subprocess.run(
        command, input=json.dumps(job), text=True, capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    spent, answered = cpu_seconds(server.pid) - before, sum(found["statuses"].values())
    return {**found, "cpu_us": round(spent / answered * 1e6, 1)}


@contextmanager
def redis(folder: Path) -> Iterator[int]:
    """A Redis of our own; its port."""
    binary, port = shutil.which("redis-server"), _free_port()
    if not binary:
        sys.exit("redis-server is missing: install Redis to run this benchmark")
    options = ["--port", str(port), "--save", "", "--dir", str(folder), "--bind", "127.0.0.1"]
    with process([binary, *options], dict(os.environ)):
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port


@contextmanager
def process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A running command in a group of its own, stopped at the end with all it started."""
    running = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield running
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(timeout=20)


def wait_for(port: int, path: str, seconds: float = 90.0) -> None:
    """Return once the path answers 200."""
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    sys.exit(f"nothing answers on {path}")


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    pages = sum(int((each / "statm").read_text().split()[1]) for each in _family(pid))
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children, of those that ended too."""
    ticks = 0
    for each in _family(pid):
        fields = (each / "stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11 : 15 if each.name == str(pid) else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[Path]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path("/proc") / each for each in (str(pid), *listed)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quiet() -> dict[str, str]:
    return {**os.environ, "FEAST_USAGE": "False", "DO_NOT_TRACK": "1"}


# -- what is printed ---------------------------------------------------------------


def show(report: dict[str, Any], memory: dict[str, list[float]], ready_s: float) -> None:
    """Every measurement, then the ratios."""
    print(f"{'':22}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'CPU µs':>9}  answers")
    for name, found in report.items():
        numbers = "".join(f"{found[key]:9.1f}" for key in ("p50_ms", "p99_ms", "max_ms", "cpu_us"))
        answers = ", ".join(f"{count} x {status}" for status, count in found["statuses"].items())
        dropped = f", {found['dropped']} dropped" if found["dropped"] else ""
        print(f"{name:22}{found['rps']:11.1f}{numbers}  {answers}{dropped}")
    print(f"ready after {ready_s:.2f} s; memory MB before and after:", memory)
    for name in ("feast", "feast_tuned"):
        if name not in report:
            continue
        theirs, ours = report[name], report["gateway"]
        many = report["gateway batch"]["rps"] / report[f"{name} batch"]["rps"]
        print(
            f"against {name}: {ours['rps'] / theirs['rps']:.1f} x the requests a second, "
            f"p99 1/{theirs['p99_ms'] / ours['p99_ms']:.1f}, "
            f"CPU a request 1/{theirs['cpu_us'] / ours['cpu_us']:.1f}; "
            f"batches of 100: {many:.1f} x"
        )


if __name__ == "__main__":
    main()
