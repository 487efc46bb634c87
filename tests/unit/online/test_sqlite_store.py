"""The embedded store: a file that may be missing, replaced, broken, or in use."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.core.errors import UsageError
from pipelines.core.home import Brand
from pipelines.online import sqlite_store
from pipelines.online.decoder import decode
from pipelines.online.encoder import encode
from pipelines.online.layout import entity_key
from pipelines.online.sqlite_store import SqliteStore
from pipelines.online.stores import Published, Reading, StoreUnavailableError, open_store
from tests.online_sample import SMALL, mark, rows

KEYS = [entity_key(["member_id"], [name]) for name in ("a", "b")]
COLUMNS = [(SMALL.name, "channel"), ("member_never_v1", "x"), (SMALL.name, "orders")]


def write(store: SqliteStore, day: int = 1, **orders: int) -> None:
    members = {name: {"orders": count, "channel": "shop"} for name, count in orders.items()}
    (batch,) = rows(SMALL, members, mark(day)).to_batches()
    store.prepare(SMALL)
    store.write(SMALL, encode(SMALL, batch))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "brand" / "online.db", "huitou_shop")
    yield made
    made.close()


def read(store: SqliteStore) -> Reading:
    return store.read([(store.plan(["member_id"], COLUMNS), KEYS)])


def values(reading: Reading) -> list[list[Any]]:
    return [[None if raw is None else decode(raw) for raw in row.values] for row in reading.rows[0]]


def test_a_row_has_the_plans_columns_in_order_and_none_for_what_is_not_there(
    store: SqliteStore,
) -> None:
    write(store, a=3)
    reading = read(store)
    assert values(reading) == [["shop", None, 3], [None, None, None]]
    assert reading.rows[0][0].event_at == [mark(1).as_of, None]
    assert reading.rows[0][1].event_at == [None, None]
    assert reading.watermarks == {}


def test_several_plans_are_one_reading(store: SqliteStore) -> None:
    write(store, a=3, b=4)
    few, many = (store.plan(["member_id"], columns) for columns in (COLUMNS[:1], COLUMNS))
    reading = store.read([(few, KEYS), (many, KEYS[1:]), (few, [])])
    assert [len(rows) for rows in reading.rows] == [2, 1, 0]
    assert decode(reading.rows[1][0].values[2] or b"") == 4


def test_a_key_asked_twice_is_answered_twice_and_a_thousand_at_once(store: SqliteStore) -> None:
    write(store, a=1, b=2)
    plan = store.plan(["member_id"], COLUMNS)
    many = [entity_key(["member_id"], [f"m{n}"]) for n in range(2_000)]
    found = store.read([(plan, [KEYS[1], *many, KEYS[0], KEYS[1]])]).rows[0]
    assert len(found) == 2_003
    assert found[0] == found[-1]
    assert found[0] != found[-2] != found[5]


def test_reading_a_file_that_is_not_there_is_a_store_that_is_not_available(
    store: SqliteStore,
) -> None:
    with pytest.raises(StoreUnavailableError, match=r"online\.db"):
        read(store)
    assert store.watermarks() == {}
    assert not list(store._path.parent.glob("*")), "reading must not create the file"
    write(store, a=1)
    assert values(read(store))[0] == ["shop", None, 1]


def test_a_file_that_was_replaced_is_read_anew(store: SqliteStore, tmp_path: Path) -> None:
    write(store, a=1)
    read(store)
    other = SqliteStore(tmp_path / "other.db", "huitou_shop")
    write(other, a=2)
    other.close()
    store._path.unlink()
    for path in store._path.parent.glob("*-*"):
        path.unlink()
    (tmp_path / "other.db").rename(store._path)
    assert values(read(store))[0] == ["shop", None, 2]


def test_readers_do_not_wait_for_the_writer_and_see_nothing_half_done(store: SqliteStore) -> None:
    write(store, a=1)
    writer = sqlite3.connect(store._path, isolation_level=None)
    writer.execute("begin immediate")
    writer.execute(f"update \"huitou_shop_{SMALL.name}\" set value = x'2063'")
    begun = time.monotonic()
    assert values(read(store))[0] == ["shop", None, 1]
    assert time.monotonic() - begun < 0.5
    writer.execute("rollback")
    writer.close()


def test_reads_of_an_event_loop_are_the_same(store: SqliteStore) -> None:
    write(store, a=1)
    asked = [(store.plan(["member_id"], COLUMNS), KEYS)]

    async def many() -> list[Reading]:
        return await asyncio.gather(*(store.read_async(asked) for _ in range(20)))

    assert all(reading == store.read(asked) for reading in asyncio.run(many()))


def test_watermark_and_checkpoint_are_kept_in_the_file(store: SqliteStore) -> None:
    write(store, a=1)
    published = Published(mark(1).as_of, mark(1).known_at, "s1", datetime.now(tz=UTC), "c1")
    store.set_checkpoint(SMALL.name, "so far")
    assert store.checkpoint(SMALL.name) == "so far"
    store.set_watermark(SMALL.name, published)
    assert store.checkpoint(SMALL.name) is None
    store.close()
    assert store.watermarks() == {SMALL.name: published}
    assert read(store).watermarks == {SMALL.name: published}


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
def test_event_times_are_written_as_feast_writes_them_in_any_zone(
    store: SqliteStore, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Feast takes UTC wall time for local time, and undoes that when it reads."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    for cached in (sqlite_store._to_local, sqlite_store._from_local):
        cached.cache_clear()
    try:
        write(store, a=1)
        assert read(store).rows[0][0].event_at[0] == mark(1).as_of
        with sqlite3.connect(store._path) as db:
            (stored,) = db.execute(
                f'select min(event_ts) from "huitou_shop_{SMALL.name}"'
            ).fetchone()
        assert stored == int(mark(1).as_of.replace(tzinfo=None).timestamp())
    finally:
        monkeypatch.undo()
        time.tzset()
        for cached in (sqlite_store._to_local, sqlite_store._from_local):
            cached.cache_clear()


def test_a_disk_that_refuses_is_told_with_what_it_wants(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that was published is not to be published first."""
    write(store, a=3)
    store.close()

    def connect(uri: str, timeout_s: float) -> sqlite3.Connection:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
        raise error

    monkeypatch.setattr(sqlite_store, "_connect", connect)
    with pytest.raises(StoreUnavailableError) as error:
        read(store)
    assert error.value.remedy == (
        f"see that {tmp_path / 'brand'} can be written and that its disk has room"
    )


def test_a_broken_file_is_named_and_not_repaired(store: SqliteStore) -> None:
    store._path.parent.mkdir(parents=True)
    store._path.write_bytes(b"not a database at all, but long enough to be taken for one" * 20)
    with pytest.raises(StoreUnavailableError, match="not a database"):
        read(store)


def test_the_store_is_chosen_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = Brand(tmp_path / "shop")
    monkeypatch.delenv("HUITOU_ONLINE_STORE", raising=False)
    assert type(open_store(brand)) is SqliteStore
    monkeypatch.setenv("HUITOU_ONLINE_STORE", "redis")
    monkeypatch.setenv("REDIS_URL", "redis://nowhere:1/0")
    assert type(open_store(brand)).__name__ == "RedisStore"  # without connecting
    monkeypatch.setenv("HUITOU_ONLINE_STORE", "postgres")
    with pytest.raises(UsageError, match="postgres"):
        open_store(brand)
