"""A real Redis that goes away, hangs, comes back, wants a password, or is a cluster."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from pipelines.core.home import Brand
from pipelines.online.decoder import decode
from pipelines.online.layout import entity_key
from pipelines.online.parity import parity
from pipelines.online.publisher import publish
from pipelines.online.redis_store import RedisStore
from pipelines.online.resp import pack
from pipelines.online.stores import Reading, StoreUnavailableError
from tests.conftest import free_port, missing
from tests.online_sample import CATALOG, EVERY, SMALL, every, mark, recut, snapshot

pytestmark = pytest.mark.integration

Server = tuple[int, "subprocess.Popen[bytes]"]
FIELDS = [(SMALL.name, "orders"), (SMALL.name, "channel")]
A = entity_key(["member_id"], ["a"])


def patiently(attempt: Callable[[], Any], seconds: float = 15) -> Any:
    end = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except (redis.RedisError, StoreUnavailableError, AssertionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


@contextmanager
def server(
    folder: Path, *options: str, port: int = 0
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A Redis of our own, so that it can be stopped."""
    binary = shutil.which("redis-server")
    if not binary:
        missing("redis-server", "put it on the path")
    port = port or free_port()
    words = ["--port", str(port), "--save", "", "--dir", str(folder), "--bind", "127.0.0.1"]
    process = subprocess.Popen([str(binary), *words, *options], stdout=subprocess.DEVNULL)
    try:
        yield port, process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(timeout=10)


def published(brand: Brand, store: RedisStore) -> None:
    snapshot(brand, mark(1), {SMALL: {"a": {"orders": 1, "channel": "shop"}}})
    patiently(lambda: publish(brand, CATALOG, store))


def values(reading: Reading) -> list[Any]:
    return [None if raw is None else decode(raw) for raw in reading.rows[0][0].values]


def test_a_store_that_is_down_says_so_at_once_and_recovers_by_itself(
    brand: Brand, tmp_path: Path
) -> None:
    port = free_port()
    store = RedisStore(f"redis://127.0.0.1:{port}/0", brand.project, timeout_s=1)
    asked = [(store.plan(["member_id"], FIELDS), [A])]
    with pytest.raises(StoreUnavailableError, match=f"127.0.0.1:{port}"):
        store.read(asked)
    for _ in range(2):  # the second server is another process with other connections
        with server(tmp_path, port=port):
            published(brand, store)
            assert values(store.read(asked)) == [1, "shop"]
        with pytest.raises(StoreUnavailableError):
            store.read(asked)


def test_the_event_loops_reads_fail_in_time_and_recover(brand: Brand, tmp_path: Path) -> None:
    """Many wait on the one connection when Redis hangs: each is told within its time."""

    async def scenario() -> None:
        with server(tmp_path) as (port, process):
            store = RedisStore(f"redis://127.0.0.1:{port}/0", brand.project, timeout_s=0.4)
            published(brand, store)
            asked = [(store.plan(["member_id"], FIELDS), [A])]
            readings = await asyncio.gather(*(store.read_async(asked) for _ in range(50)))
            assert all(values(reading) == [1, "shop"] for reading in readings)
            process.send_signal(signal.SIGSTOP)
            begun = time.monotonic()
            many = (store.read_async(asked) for _ in range(50))
            failed = await asyncio.gather(*many, return_exceptions=True)
            assert all(isinstance(error, StoreUnavailableError) for error in failed)
            assert time.monotonic() - begun < 1.5
            process.send_signal(signal.SIGCONT)
            assert values(await store.read_async(asked)) == [1, "shop"]
        with pytest.raises(StoreUnavailableError):
            await store.read_async(asked)
        with server(tmp_path, port=port):
            patiently(lambda: redis.Redis(port=port).ping())
            assert values(await store.read_async(asked)) == [None, None]
            store.close()

    asyncio.run(scenario())


def test_what_is_no_redis_is_a_store_that_is_not_available(brand: Brand) -> None:
    async def scenario() -> None:
        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"@ not the protocol\r\n")

        other = await asyncio.start_server(babble, "127.0.0.1", 0)
        port = other.sockets[0].getsockname()[1]
        store = RedisStore(f"redis://127.0.0.1:{port}/0", brand.project, timeout_s=2)
        asked = [(store.plan(["member_id"], FIELDS), [A])]
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                await store.read_async(asked)
        store.close()
        other.close()

    asyncio.run(scenario())


def test_a_redis_without_memory_left_says_so_and_is_gone_on_with(
    brand: Brand, tmp_path: Path
) -> None:
    """What was written stays, the watermark does not move, and the next publish ends the work."""
    snapshot(brand, mark(1), {SMALL: {f"m{n:05}": {"orders": n} for n in range(30_000)}})
    with server(tmp_path) as (port, _), redis.Redis(port=port) as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + (1 << 20))
        store = RedisStore(f"redis://127.0.0.1:{port}/0", brand.project)
        with pytest.raises(StoreUnavailableError, match="OOM"):
            publish(brand, CATALOG, store)
        assert not store.watermarks()
        client.config_set("maxmemory", 0)
        publish(brand, CATALOG, store)
        assert parity(brand, CATALOG, store).ok
        store.close()


def test_a_request_that_was_given_up_does_not_shift_the_answers_of_others(
    brand: Brand, redis_url: str
) -> None:
    """Answers come in order: one that nobody awaits any more must still be taken off."""
    store = RedisStore(redis_url, brand.project)
    members = {f"m{n}": {"orders": n} for n in range(200)}
    snapshot(brand, mark(1), {SMALL: members})
    publish(brand, CATALOG, store)
    plan = store.plan(["member_id"], FIELDS)

    async def scenario() -> None:
        tasks = []
        for n in range(200):
            asked = [(plan, [entity_key(["member_id"], [f"m{n}"])])]
            tasks.append(asyncio.create_task(store.read_async(asked)))
            await asyncio.sleep(0)
            if n % 3 == 0:
                tasks[-1].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for n, answer in enumerate(answers):
            if n % 3:
                assert isinstance(answer, Reading)
                assert values(answer) == [n, None]

    asyncio.run(scenario())


def test_password_and_database_of_the_url_are_used(brand: Brand, tmp_path: Path) -> None:
    with server(tmp_path, "--requirepass", "pa ss@/:") as (port, _):
        url = f"redis://:pa%20ss%40%2F%3A@127.0.0.1:{port}/5"
        store = RedisStore(url, brand.project)
        published(brand, store)
        with redis.Redis(port=port, password="pa ss@/:", db=5) as client:
            assert client.exists(A + brand.project.encode())
        stranger = RedisStore(f"redis://127.0.0.1:{port}/5", brand.project)
        with pytest.raises(StoreUnavailableError, match="NOAUTH"):
            stranger.read([(stranger.plan(["member_id"], FIELDS), [A])])


def test_a_redis_that_refuses_writes_is_not_taken_for_one_that_took_them(
    brand: Brand, tmp_path: Path
) -> None:
    with server(tmp_path, "--maxmemory", "1", "--maxmemory-policy", "noeviction") as (port, _):
        store = RedisStore(f"redis://127.0.0.1:{port}/0", brand.project)
        snapshot(brand, mark(1), {SMALL: {"a": {"orders": 1}}})
        patiently(lambda: redis.Redis(port=port).ping())
        with pytest.raises(StoreUnavailableError, match="OOM"):
            publish(brand, CATALOG, store)
        assert store.watermarks() == {}
        redis.Redis(port=port).config_set("maxmemory", 0)
        assert publish(brand, CATALOG, store).writes == 1


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[redis.Redis]]:
    """Three masters that share the slots."""
    ports = []
    while len(ports) < 3:  # a node's bus listens 10 000 above its port
        if (port := free_port()) < 55_000:
            ports.append(port)
    options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
    folders = [tmp_path_factory.mktemp("node") for _ in ports]
    with (
        server(folders[0], *options, port=ports[0]),
        server(folders[1], *options, port=ports[1]),
        server(folders[2], *options, port=ports[2]),
    ):
        nodes = [redis.Redis(port=port) for port in ports]
        bounds = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)]
        for node, (first, last) in zip(nodes, bounds, strict=True):
            patiently(node.ping)
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0])

        def whole() -> None:
            for node in nodes:
                state = node.execute_command("CLUSTER INFO")
                assert (state["cluster_state"], state["cluster_known_nodes"]) == ("ok", "3")

        patiently(whole)
        yield nodes


@pytest.fixture
def cluster(nodes: list[redis.Redis]) -> Iterator[list[redis.Redis]]:
    """The masters, empty."""
    yield nodes
    for node in nodes:
        node.flushall()


def url_of(node: redis.Redis) -> str:
    port = node.connection_pool.connection_kwargs["port"]
    return f"redis+cluster://127.0.0.1:{port}"


def test_a_cluster_is_published_to_and_read_like_one_redis(
    brand: Brand, cluster: list[redis.Redis]
) -> None:
    store = RedisStore(url_of(cluster[0]), brand.project)
    everyone = {f"m{n:03}": every(n) for n in range(200)}
    snapshot(brand, mark(1), {EVERY: everyone, SMALL: {"a": {"orders": 1}}})
    recut(brand.log, rows_in_a_group=50)
    assert publish(brand, CATALOG, store).writes == 201
    assert all(node.dbsize() > 30 for node in cluster)
    assert parity(brand, CATALOG, store).ok
    snapshot(brand, mark(2), {EVERY: dict(list(everyone.items())[::2]), SMALL: {}})
    assert publish(brand, CATALOG, store).writes == 101
    assert parity(brand, CATALOG, store).ok
    plan = store.plan(["member_id"], [(EVERY.name, f.name) for f in EVERY.features])
    keys = [entity_key(["member_id"], [name]) for name in everyone]
    assert asyncio.run(store.read_async([(plan, keys)])) == store.read([(plan, keys)])


def test_a_slot_that_moves_is_followed(brand: Brand, cluster: list[redis.Redis]) -> None:
    """Mid-way (`ASK`) and after (`MOVED`), for writes, reads and the event loop's reads."""
    store = RedisStore(url_of(cluster[1]), brand.project)
    snapshot(brand, mark(1), {SMALL: {f"m{n}": {"orders": n} for n in range(50)}})
    publish(brand, CATALOG, store)
    plan = store.plan(["member_id"], FIELDS)
    keys = [entity_key(["member_id"], [f"m{n}"]) for n in range(50)]
    before = store.read([(plan, keys)])
    stored = keys[7] + brand.project.encode()
    slot = int(cluster[0].execute_command("CLUSTER", "KEYSLOT", stored))
    source = next(node for node in cluster if holds(node, stored))
    target = next(node for node in cluster if node is not source)
    ids = {node: node.execute_command("CLUSTER", "MYID").decode() for node in (source, target)}
    target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
    source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    port = target.connection_pool.connection_kwargs["port"]
    moving = source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100)
    source.execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *moving)

    async def later() -> Reading:
        return await store.read_async([(plan, keys)])

    assert store.read([(plan, keys)]) == asyncio.run(later()) == before
    for node in cluster:
        node.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
    assert store.read([(plan, keys)]) == asyncio.run(later()) == before
    assert publish(brand, CATALOG, store, full=True).writes == 50
    assert parity(brand, CATALOG, store).ok


def holds(node: redis.Redis, key: bytes) -> bool:
    try:
        return bool(node.exists(key))
    except redis.ResponseError:
        return False


def test_commands_are_packed_as_the_protocol_has_them() -> None:
    assert pack("GET", b"\x00k", "é") == b"*3\r\n$3\r\nGET\r\n$2\r\n\x00k\r\n$2\r\n\xc3\xa9\r\n"
