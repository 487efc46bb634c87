"""A publisher killed at random moments: going on gives the store an undisturbed one makes."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
import redis

from pipelines.core.home import Brand
from pipelines.online import publisher, redis_store
from pipelines.online.parity import parity
from pipelines.online.publisher import publish
from pipelines.online.redis_store import RedisStore
from pipelines.online.sqlite_store import SqliteStore
from pipelines.online.stores import OnlineStore
from tests.online_sample import CATALOG, EVERY, SMALL, every, mark, recut, snapshot

pytestmark = pytest.mark.integration

KILLS = 10
MEMBERS = 300
#: Small batches and ranges, so that a publish has some fifty moments between writes.
SMALL_STEPS = 40


def made(kind: str, brand: Brand, url: str) -> OnlineStore:
    return RedisStore(url, brand.project) if kind == "redis" else made_sqlite(brand)


def made_sqlite(brand: Brand) -> SqliteStore:
    return SqliteStore(brand.online_sqlite, brand.project)


def child(kind: str, root: Path, url: str, begun: Event) -> None:
    """Publish in small steps; runs in the process that is killed."""
    publisher.BATCH_ROWS = redis_store.BATCH = SMALL_STEPS
    brand = Brand(root)
    store = made(kind, brand, url)
    begun.set()
    publish(brand, CATALOG, store)


def day(brand: Brand, number: int) -> None:
    """A snapshot in which a third of the members changed, some came and some left."""
    members = {
        f"m{n:05}": every(n + (number if n % 3 == number % 3 else 0))
        for n in range(MEMBERS)
        if (n + number) % 11
    }
    few = {key: {"orders": number} for key in list(members)[:50]}
    snapshot(brand, mark(number), {EVERY: members, SMALL: few})
    recut(brand.log, rows_in_a_group=SMALL_STEPS)


def started(kind: str, brand: Brand, url: str) -> BaseProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipelines.online.publisher", "tests.online_sample"])
    begun = context.Event()
    process = context.Process(target=child, args=(kind, brand.root, url, begun))
    process.start()
    begun.wait()
    return process


@pytest.mark.parametrize(
    ("kind", "seed"), [("redis", 1), ("redis", 2), ("redis", 3), ("sqlite", 4)]
)
def test_ten_kills_leave_the_store_of_an_undisturbed_run(
    kind: str, seed: int, brand: Brand, request: pytest.FixtureRequest
) -> None:
    """Now and then a new snapshot arrives, or another kill, before anyone goes on."""
    url = request.getfixturevalue("redis_url") if kind == "redis" else ""
    store, moments, killed = made(kind, brand, url), random.Random(seed), 0  # noqa: S311
    whole = 0.2
    for number in range(1, 4 * KILLS):
        if killed == KILLS:
            break
        day(brand, number)
        process = started(kind, brand, url)
        time.sleep(moments.uniform(0, whole))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        if number % 4:
            begun = time.monotonic()
            publish(brand, CATALOG, store)
            whole = time.monotonic() - begun
            assert parity(brand, CATALOG, store).ok
    publish(brand, CATALOG, store)
    assert killed == KILLS
    assert publish(brand, CATALOG, store).writes == 0
    undisturbed_brand = Brand(brand.root.with_name("undisturbed"))
    undisturbed_brand.root.mkdir()
    undisturbed_brand.log.symlink_to(brand.log)
    other = made(kind, undisturbed_brand, url)
    publish(undisturbed_brand, CATALOG, other)
    assert contents(kind, brand, url) == contents(kind, undisturbed_brand, url)


def contents(kind: str, brand: Brand, url: str) -> Any:
    """All cells of the brand, with their event times."""
    if kind == "redis":
        with redis.Redis.from_url(url) as client:
            suffix = brand.project.encode()
            keys = client.keys(b"\x01*" + suffix)
            return {key.removesuffix(suffix): client.hgetall(key) for key in keys}
    store, views = made_sqlite(brand), (EVERY, SMALL)
    plans = [store.plan(v.join_keys, [(v.name, f.name) for f in v.features]) for v in views]
    keys = sorted({key for view in views for batch in store.keys(view) for key in batch})
    return keys, store.read([(plan, keys) for plan in plans]).rows


@pytest.mark.parametrize("step", [0, 1, 5, 9])
def test_going_on_starts_from_the_last_checkpoint(
    brand: Brand, store: OnlineStore, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was noted as done is not written again, and what was not is."""
    snapshot(brand, mark(1), {EVERY: {f"m{n:03}": every(n) for n in range(100)}})
    recut(brand.log, rows_in_a_group=10)
    writes = 0

    def write(*args: Any, **kwargs: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes > step:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    original = store.write
    monkeypatch.setattr(store, "write", write)
    with pytest.raises(KeyboardInterrupt):
        publish(brand, CATALOG, store)
    monkeypatch.setattr(store, "write", original)
    report = publish(brand, CATALOG, store).views[EVERY.name]
    assert report.resumed == (step > 0)
    assert report.upserts == 100 - 10 * step
    assert parity(brand, CATALOG, store).ok
