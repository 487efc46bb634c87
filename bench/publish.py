"""Publishing to Redis: our publisher and batch engine against Feast's default engine, in one run.

`python -m bench.publish` prints members a second, peak memory and ratios for one view of 7 features
(2 Float64, 2 Int64, String, Bool, Array(String)) by member key: a full publish of a million
members, `feast materialize` of the same Parquet with Feast's engine and with ours, a full publish
of five million, the delta when 3 % of them changed, and what `redis-benchmark` makes of the same
HSETs. Every measurement has a process of its own, and but for the delta an empty Redis; imports are
not counted, memory is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.core.catalog import Catalog
    from pipelines.core.feature_log import Watermark

NAME = "member_bench_v1"
FEATURES = {
    "share": ("double", "Float64"),
    "score": ("double", "Float64"),
    "orders": ("bigint", "Int64"),
    "revenue_minor": ("bigint", "Int64"),
    "channel": ("varchar", "String"),
    "is_active": ("boolean", "Bool"),
    "tags": ("varchar[]", "Array(String)"),
}
CHANGED_ONE_IN = 33  # 3 %
PART = 250_000
FIRST_DAY = datetime(2025, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Target:
    """What a ratio must reach, `at_least` or else at most."""

    words: str
    value: float
    bound: float
    at_least: bool

    def __str__(self) -> str:
        met = self.value >= self.bound if self.at_least else self.value <= self.bound
        wanted = f"{'≥' if self.at_least else '≤'} {self.bound:g}"
        return f"{'met   ' if met else 'MISSED'} {self.words}: {self.value:.2f} ({wanted})"


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(prog="bench.publish", description=__doc__)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=5_000_000, help="0 leaves the large log out")
    parser.add_argument("--skip-feast", action="store_true", help="ours alone, while developing")
    parser.add_argument("--stage", choices=sorted(STAGES), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(STAGES[given.stage](given.root, given.port, given.members)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-publish-") as folder:
        report = compared(Path(folder), given.members, not given.skip_feast)
        if given.large:
            report |= scaled(Path(folder), given.large)
    show(report)


def compared(folder: Path, members: int, with_feast: bool) -> dict[str, Any]:
    """Ours, Feast's and Redis's own speed with the same members."""
    root, report = folder / "shop", {}
    stage("build", root, 0, members)
    stages = ["publish", *(["feast", "feast_with_our_engine"] if with_feast else [])]
    for name in stages:
        with redis(folder) as port:
            report[name] = stage(name, root, port, members)
    with redis(folder) as port:
        report["redis_benchmark"] = floor(port, members)
    return report


def scaled(folder: Path, members: int) -> dict[str, Any]:
    """A large log published in full, and then what 3 % of changes take."""
    root, report = folder / "large", {}
    stage("build", root, 0, members)
    with redis(folder) as port:
        report["publish_large"] = stage("publish", root, port, members)
        stage("change", root, 0, members)
        report["publish_delta"] = stage("publish", root, port, members)
    return report


def stage(name: str, root: Path, port: int, members: int) -> dict[str, Any]:
    """What one step measured, run in a process of its own."""
    command = [sys.executable, "-m", "bench.publish", "--stage", name, "--root", str(root)]
    command += ["--port", str(port), "--members", str(members)]
    sys.stderr.write(f"… {name} of {members} members\n")
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


# -- the steps, each in its own process ------------------------------------------------------------


def build(root: Path, port: int, members: int) -> dict[str, Any]:  # noqa: ARG001  # as all steps
    """A log whose one snapshot holds all members."""
    return _append(root, members, day=0)


def change(root: Path, port: int, members: int) -> dict[str, Any]:  # noqa: ARG001  # as all steps
    """The next snapshot, in which 3 % of the members differ."""
    return _append(root, members, day=1)


def publish(root: Path, port: int, members: int) -> dict[str, Any]:  # noqa: ARG001  # as all steps
    """Our publisher."""
    from pipelines.core.home import Brand
    from pipelines.online import publisher
    from pipelines.online.redis_store import RedisStore

    brand, catalog = Brand(root), _catalog()
    store = RedisStore(f"redis://127.0.0.1:{port}/0", brand.project)

    def work() -> int:
        report = publisher.publish(brand, catalog, store)
        if report.held:
            sys.exit(str(report.held))
        return report.writes

    return _measured(port, work)


def feast(root: Path, port: int, members: int) -> dict[str, Any]:
    """`materialize` with the engine that Feast comes with."""
    return _materialized(root, port, members, "local")


def feast_with_our_engine(root: Path, port: int, members: int) -> dict[str, Any]:
    """`materialize` with our batch engine."""
    return _materialized(root, port, members, "pipelines.online.batch_engine.ArrowBatchEngine")


STAGES: dict[str, Callable[[Path, int, int], dict[str, Any]]] = {
    step.__name__: step for step in (build, change, publish, feast, feast_with_our_engine)
}


def _materialized(root: Path, port: int, members: int, engine: str) -> dict[str, Any]:
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Array, Bool, Float64, Int64, String

    types = {"Float64": Float64, "Int64": Int64, "String": String, "Bool": Bool}
    types["Array(String)"] = Array(String)
    member = Entity(name="member", join_keys=["member_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name=NAME,
        entities=[member],
        ttl=timedelta(0),
        schema=[Field(name="member_id", dtype=String)]
        + [Field(name=name, dtype=types[kind]) for name, (_, kind) in FEATURES.items()],
        source=FileSource(
            path=str(next((root / "log" / NAME).glob("*.parquet"))),
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        ),
    )
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(root / f"{engine}.registry"),
            online_store={"type": "redis", "connection_string": f"127.0.0.1:{port}"},
            offline_store={"type": "duckdb"},
            batch_engine={"type": engine},
            entity_key_serialization_version=3,
        )
    )
    store.apply([member, view])

    def work() -> int:
        store.materialize(FIRST_DAY - timedelta(days=1), FIRST_DAY + timedelta(days=9))
        return members

    return _measured(port, work)


def _measured(port: int, work: Callable[[], int]) -> dict[str, Any]:
    """Seconds, rows a second, this process's peak memory, and how busy Redis was."""
    before, begun = _redis_cpu(port), time.perf_counter()
    rows = work()
    seconds = time.perf_counter() - begun
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "rows_per_s": round(rows / seconds),
        "peak_mb": round(_peak_mb()),
        "redis_busy": round((_redis_cpu(port) - before) / seconds, 2),
    }


def _peak_mb() -> float:
    """The most memory this process held; unlike `getrusage` this forgets who started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (kb,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kb) / 1024


def _redis_cpu(port: int) -> float:
    import redis as client

    with client.Redis(port=port) as connection:
        info = connection.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def _catalog() -> Catalog:
    from pipelines.core.catalog import Catalog, Feature, FeatureView

    features = tuple(Feature(name, kind, "Words.") for name, (kind, _) in FEATURES.items())
    view = FeatureView(
        NAME, "Seven features.", "member", ("member_id",), features, 1, 1, "data", "bench", "", ""
    )
    return Catalog({NAME: view}, {})


def _append(root: Path, members: int, day: int) -> dict[str, Any]:
    import pyarrow as pa

    from pipelines.core.feature_log import FeatureLog, Watermark

    as_of = FIRST_DAY + timedelta(days=day)
    at = Watermark.of(as_of, as_of + timedelta(hours=2))
    log, view = FeatureLog(root / "log"), _catalog().views[NAME]
    batches = _batches(members, at)
    reader = pa.RecordBatchReader.from_batches(next(_batches(1, at)).schema, batches)
    report = log.append(view, reader, at)
    log.commit(at, "bench", {NAME: report})
    return {"upserts": report.upserts}


def _batches(members: int, at: Watermark) -> Iterator[pa.RecordBatch]:
    """A snapshot of all members; from the second day on, every 33rd has one more order."""
    import numpy as np
    import pyarrow as pa

    words = pa.array(["lifecycle.active", "rfm.loyal", "coupon.open", "survey.due"])
    channels = pa.array(["online", "store", "mini_program"])
    instant = pa.timestamp("us", "UTC")
    for first in range(0, members, PART):
        size = min(PART, members - first)
        random, ids = np.random.default_rng(first), np.arange(first, first + size)
        later = (ids % CHANGED_ONE_IN == 0) & (at.as_of > FIRST_DAY)
        tags = words.take(pa.array(random.integers(0, 4, 3 * size)))
        yield pa.record_batch(
            {
                "member_id": pa.array([f"m{number:09d}" for number in ids]),
                "share": random.random(size),
                "score": random.random(size) * 100,
                "orders": random.integers(0, 200, size) + later,
                "revenue_minor": random.integers(0, 10_000_000, size),
                "channel": channels.take(pa.array(random.integers(0, 3, size))),
                "is_active": random.random(size) < 0.5,
                "tags": pa.ListArray.from_arrays(np.arange(0, 3 * size + 1, 3, np.int32), tags),
                "event_timestamp": pa.array([at.as_of] * size, instant),
                "created_timestamp": pa.array([at.known_at] * size, instant),
            }
        )


# -- Redis -----------------------------------------------------------------------------------------


@contextmanager
def redis(folder: Path) -> Iterator[int]:
    """An empty Redis of our own; its port."""
    binary = shutil.which("redis-server")
    if not binary:
        sys.exit("redis-server is missing: install Redis to run this benchmark")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["--port", str(port), "--save", "", "--dir", str(folder), "--bind", "127.0.0.1"]
    server = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=60)


def floor(port: int, members: int) -> dict[str, Any]:
    """`redis-benchmark` with HSETs of the same number of fields, of the same sizes."""
    binary = shutil.which("redis-benchmark")
    if not binary:
        return {}
    values = [9, 9, 2, 5, 9, 2, 46]  # bytes of the serialized features
    words = [word for n, size in enumerate(values) for word in (f"fld{n}", "v" * size)]
    key = "m" * 50 + "__rand_int__"
    command = [binary, "-p", str(port), "-n", str(members), "-r", str(members), "-P", "500"]
    command += ["-c", "4", "--csv", "HSET", key, *words, f"_ts:{NAME}", "stamps"]
    begun = time.perf_counter()
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    seconds = time.perf_counter() - begun
    rate = float(output.splitlines()[-1].split('","')[1].strip('"'))
    return {"rows": members, "seconds": round(seconds, 2), "rows_per_s": round(rate)}


def show(report: dict[str, Any]) -> None:
    """Every measurement, then the ratios that are promised."""
    for name, measured in report.items():
        print(f"{name:22} {json.dumps(measured)}")
    ours = report["publish"]
    targets = [Target("peak MB of the publisher", ours["peak_mb"], 600, at_least=False)]
    if "feast" in report:
        for name, words in (("publish", "publisher"), ("feast_with_our_engine", "batch engine")):
            times = report[name]["rows_per_s"] / report["feast"]["rows_per_s"]
            targets.append(Target(f"times Feast's engine, {words}", times, 8, at_least=True))
    if "publish_large" in report:
        large, delta = report["publish_large"], report["publish_delta"]
        share = large["rows_per_s"] / ours["rows_per_s"]
        targets.append(Target("speed at the large size, of that at the small", share, 0.85, True))
        targets.append(Target("peak MB at the large size", large["peak_mb"], 600, at_least=False))
        part = delta["seconds"] / large["seconds"]
        targets.append(Target("delta of 3 %, of the full publish's time", part, 0.1, False))
    for target in targets:
        print(target)
    if rate := report["redis_benchmark"].get("rows_per_s"):
        share = ours["rows_per_s"] / rate
        print(f"       of what redis-benchmark reaches with the same HSETs: {share:.2f}")


if __name__ == "__main__":
    main()
