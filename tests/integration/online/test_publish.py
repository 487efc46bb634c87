"""The publisher on both stores: the store is the log at the watermark, whatever came before."""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from pipelines.core.catalog import Catalog, FeatureView
from pipelines.core.clock import FrozenClock
from pipelines.core.errors import UsageError
from pipelines.core.home import Brand
from pipelines.online.decoder import decode
from pipelines.online.encoder import encode
from pipelines.online.layout import entity_key, sqlite_table
from pipelines.online.parity import parity
from pipelines.online.publisher import PublishError, publish
from pipelines.online.sqlite_store import SqliteStore
from pipelines.online.stores import OnlineStore, Published
from tests.online_sample import CATALOG, EVERY, SMALL, every, mark, recut, rows, snapshot, view

pytestmark = pytest.mark.integration

NOW = FrozenClock(datetime(2025, 3, 9, 3, tzinfo=UTC))


def held(store: OnlineStore, of: FeatureView, members: list[str]) -> dict[str, Any]:
    """Member → decoded values; None where the store holds no such cell."""
    plan = store.plan(of.join_keys, [(of.name, f.name) for f in of.features])
    keys = [entity_key(of.join_keys, [member]) for member in members]
    found = store.read([(plan, keys)]).rows[0]
    return {
        member: None if row.event_at[0] is None else tuple(decode(raw or b"") for raw in row.values)
        for member, row in zip(members, found, strict=True)
    }


def small(**orders: int) -> dict[str, dict[str, Any]]:
    return {name: {"orders": count, "channel": "shop"} for name, count in orders.items()}


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def write(
    store: OnlineStore, at: int, members: dict[str, dict[str, Any]], *, guard: bool = True
) -> None:
    """Write to the store beside the publisher, as a push would."""
    store.prepare(SMALL)
    (batch,) = rows(SMALL, members, mark(at)).to_batches()
    store.write(SMALL, encode(SMALL, batch), guard=guard)


def test_online_is_the_log_for_every_member_and_type(brand: Brand, store: OnlineStore) -> None:
    everyone = {f"m{n}": every(n) for n in range(60)}
    snapshot(brand, mark(1), {EVERY: everyone, SMALL: small(m1=1, m2=2)})
    report = publish(brand, CATALOG, store, clock=NOW)
    assert (report.writes, report.held) == (62, {})
    compared = parity(brand, CATALOG, store)
    assert (compared.ok, compared.cells) == (True, 60 * 9 + 2 * 2)
    assert held(store, SMALL, ["m1", "m2", "m3"]) == {
        "m1": (1, "shop"),
        "m2": (2, "shop"),
        "m3": None,
    }


def test_null_empty_list_and_empty_text_stay_three_things(brand: Brand, store: OnlineStore) -> None:
    lists = view("member_lists_v1", {"tags": "varchar[]", "word": "varchar"})
    members = {"a": {"tags": [], "word": ""}, "b": {"tags": [""]}, "c": {"word": "x"}}
    snapshot(brand, mark(1), {lists: members})
    publish(brand, Catalog({lists.name: lists}, {}), store)
    assert held(store, lists, ["a", "b", "c"]) == {
        "a": ([], ""),
        "b": ([""], None),
        "c": (None, "x"),
    }


def test_the_second_publish_writes_nothing(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(1), {EVERY: {"m1": every(1)}, SMALL: small(m1=1)})
    assert publish(brand, CATALOG, store).writes == 2
    before = store.watermarks()
    assert publish(brand, CATALOG, store).writes == 0
    assert store.watermarks() == before


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("meanwhile", ["nothing", "made by Feast", "killed"])
def test_a_view_whose_table_is_gone_is_published_in_full(
    brand: Brand, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    snapshot(brand, mark(1), {EVERY: {"m1": every(1)}, SMALL: small(m1=1, m2=2)})
    publish(brand, CATALOG, store)
    store.close()
    with closing(sqlite3.connect(brand.online_sqlite)) as file:
        file.execute(f'drop table "{sqlite_table(brand.project, SMALL.name)}"')
        file.commit()
    if meanwhile == "made by Feast":
        store.prepare(SMALL)
    if meanwhile == "killed":
        with monkeypatch.context() as patch:
            patch.setattr(store, "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                publish(brand, CATALOG, store)
    assert publish(brand, CATALOG, store).writes == 2
    assert parity(brand, CATALOG, store).ok


def test_a_snapshot_without_changes_moves_only_the_watermark(
    brand: Brand, store: OnlineStore
) -> None:
    """Freshness is the watermark's: last night's run confirmed the values though none changed."""
    for day in (1, 2):
        snapshot(brand, mark(day), {SMALL: small(m1=1)})
        report = publish(brand, CATALOG, store, clock=NOW)
    assert report.writes == 0
    moved = store.watermarks()[SMALL.name]
    assert moved == Published(
        mark(2).as_of, mark(2).known_at, mark(2).snapshot_id, NOW.at, CATALOG.version
    )


def test_only_what_changed_is_written_and_who_left_leaves(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(1), {SMALL: small(a=1, b=2, c=3)})
    publish(brand, CATALOG, store)
    snapshot(brand, mark(2), {SMALL: small(a=1, b=5, d=4)})
    report = publish(brand, CATALOG, store).views[SMALL.name]
    assert (report.upserts, report.deletes, report.kept_newer) == (2, 1, 0)
    assert held(store, SMALL, ["a", "b", "c", "d"]) == {
        "a": (1, "shop"),
        "b": (5, "shop"),
        "c": None,
        "d": (4, "shop"),
    }
    assert parity(brand, CATALOG, store).ok


def test_leaving_one_view_keeps_the_other(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(1), {SMALL: small(a=1), EVERY: {"a": every(3)}})
    publish(brand, CATALOG, store)
    snapshot(brand, mark(2), {SMALL: {}, EVERY: {"a": every(3)}})
    publish(brand, CATALOG, store)
    assert held(store, SMALL, ["a"]) == {"a": None}
    assert held(store, EVERY, ["a"])["a"] is not None
    assert parity(brand, CATALOG, store).ok


def test_snapshots_that_were_never_published_are_caught_up(
    brand: Brand, store: OnlineStore
) -> None:
    snapshot(brand, mark(1), {SMALL: small(a=1, b=1, c=1)})
    publish(brand, CATALOG, store)
    for day, members in ((2, small(a=2, c=1)), (3, small(a=2, b=3, c=1)), (4, small(b=4))):
        snapshot(brand, mark(day), {SMALL: members})
    report = publish(brand, CATALOG, store).views[SMALL.name]
    assert (report.upserts, report.deletes) == (1, 2)
    assert parity(brand, CATALOG, store).ok


def test_a_correction_of_the_same_day_is_written(brand: Brand, store: OnlineStore) -> None:
    """It has the event time of what it corrects, and is known later."""
    snapshot(brand, mark(1, known_at=1), {SMALL: small(a=1)})
    publish(brand, CATALOG, store)
    snapshot(brand, mark(1, known_at=2), {SMALL: small(a=9)})
    assert publish(brand, CATALOG, store).writes == 1
    assert held(store, SMALL, ["a"]) == {"a": (9, "shop")}


def test_a_replay_of_the_past_does_not_reach_the_store(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(3, known_at=3), {SMALL: small(a=3)})
    publish(brand, CATALOG, store)
    snapshot(brand, mark(2, known_at=4), {SMALL: small(a=2)})
    assert publish(brand, CATALOG, store).writes == 0
    assert held(store, SMALL, ["a"]) == {"a": (3, "shop")}


@pytest.mark.parametrize("full", [False, True], ids=["changes", "full"])
def test_an_older_event_never_wins(brand: Brand, store: OnlineStore, full: bool) -> None:
    snapshot(brand, mark(1), {SMALL: small(a=1, b=1, c=1)})
    publish(brand, CATALOG, store)
    snapshot(brand, mark(2), {SMALL: small(a=2, b=2)})
    write(store, 5, small(a=50, c=50))
    report = publish(brand, CATALOG, store, full=full).views[SMALL.name]
    assert held(store, SMALL, ["a", "b", "c"]) == {
        "a": (50, "shop"),
        "b": (2, "shop"),
        "c": (50, "shop"),
    }
    assert report.upserts == 1
    assert report.kept_newer == (1 if full else 2)  # `full` does not hear of c's leaving


def test_full_makes_good_whatever_the_store_held(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(3), {SMALL: small(a=1, b=2)})
    publish(brand, CATALOG, store)
    write(store, 1, small(a=7, stranger=7), guard=False)
    (batch,) = rows(SMALL, small(b=0), mark(3)).to_batches()
    gone = encode(SMALL, batch)
    store.delete(SMALL, gone.keys, gone.event_us)
    assert not parity(brand, CATALOG, store).ok
    report = publish(brand, CATALOG, store, full=True)
    assert report.views[SMALL.name].deletes == 1
    assert parity(brand, CATALOG, store).ok


def test_a_store_that_lost_its_watermark_is_rebuilt(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(2), {SMALL: small(a=1)})
    write(store, 1, small(a=7, stranger=7))
    publish(brand, CATALOG, store)
    assert held(store, SMALL, ["a", "stranger"]) == {"a": (1, "shop"), "stranger": None}


def test_a_store_ahead_of_the_log_goes_back_only_when_told(
    brand: Brand, store: OnlineStore
) -> None:
    """As after the log was restored from a backup."""
    snapshot(brand, mark(2), {SMALL: small(a=1, b=1)})
    write(store, 5, small(a=50, c=50))
    later = mark(5)
    published = Published(later.as_of, later.known_at, later.snapshot_id, NOW.at, "c1")
    store.set_watermark(SMALL.name, published)
    report = publish(brand, CATALOG, store)
    assert report.writes == 0
    assert "--full" in report.held[SMALL.name]
    assert held(store, SMALL, ["a", "b"]) == {"a": (50, "shop"), "b": None}
    assert publish(brand, CATALOG, store, full=True).held == {}
    assert parity(brand, CATALOG, store).ok
    assert held(store, SMALL, ["a", "b", "c"]) == {"a": (1, "shop"), "b": (1, "shop"), "c": None}


def test_a_view_that_is_held_back_holds_back_only_itself(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(1), {SMALL: small(a=1), EVERY: {"a": every(1)}})
    report = publish(brand, CATALOG, store, hold={EVERY.name})
    assert report.held == {EVERY.name: "its checks failed"}
    assert set(store.watermarks()) == {SMALL.name}
    assert publish(brand, CATALOG, store).writes == 1


def test_rows_that_cannot_be_encoded_hold_back_only_their_view(
    brand: Brand, store: OnlineStore
) -> None:
    lists = view("member_lists_v1", {"tags": "varchar[]"})
    catalog = Catalog({lists.name: lists, SMALL.name: SMALL}, {})
    snapshot(brand, mark(1), {lists: {"a": {"tags": ["x", None]}}, SMALL: small(a=1)})
    report = publish(brand, catalog, store)
    assert "member_lists_v1.tags has null elements" in report.held[lists.name]
    assert set(store.watermarks()) == {SMALL.name}


def test_a_feature_that_was_added_reaches_every_member(brand: Brand, store: OnlineStore) -> None:
    """Its nulls changed nothing in the log, so that no change would have written them."""
    snapshot(brand, mark(1), {SMALL: small(a=1, b=1)})
    publish(brand, CATALOG, store)
    wider = view(SMALL.name, {"orders": "bigint", "channel": "varchar", "grade": "varchar"})
    catalog = Catalog({wider.name: wider}, {})
    members = {"a": {"orders": 1, "channel": "shop"}, "b": {"orders": 2, "channel": "shop"}}
    snapshot(brand, mark(2), {wider: members})
    assert publish(brand, catalog, store).writes == 2
    assert parity(brand, catalog, store).ok
    assert publish(brand, catalog, store).writes == 0


def test_one_publish_a_brand_at_a_time(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(1), {SMALL: small(a=1)})
    with (brand.root / "publish.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(PublishError, match="under way"):
            publish(brand, CATALOG, store)
    assert publish(brand, CATALOG, store).writes == 1


def test_views_can_be_named_and_unknown_ones_are_refused(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(1), {SMALL: small(a=1), EVERY: {"a": every(1)}})
    assert set(publish(brand, CATALOG, store, views=[SMALL.name]).views) == {SMALL.name}
    with pytest.raises(UsageError, match="no feature view nonsense"):
        publish(brand, CATALOG, store, views=["nonsense"])


def test_nothing_logged_is_nothing_published(brand: Brand, store: OnlineStore) -> None:
    assert publish(brand, CATALOG, store).writes == 0
    assert store.watermarks() == {}


def test_progress_is_told_by_view_and_row(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(1), {SMALL: small(**{f"m{n}": n for n in range(30)})})
    recut(brand.log, rows_in_a_group=10)
    heard: list[tuple[str, int]] = []
    publish(brand, CATALOG, store, progress=lambda name, done: heard.append((name, done)))
    assert list(dict.fromkeys(heard)) == [(SMALL.name, done) for done in (10, 20, 30)]


def test_many_ranges_and_batches_make_one_store(
    brand: Brand, store: OnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small bounds everywhere, so that every seam between batches is crossed."""
    monkeypatch.setattr("pipelines.online.publisher.BATCH_ROWS", 7)
    monkeypatch.setattr("pipelines.online.redis_store.BATCH", 3)
    monkeypatch.setattr("pipelines.online.parity.BATCH_ROWS", 11)
    snapshot(brand, mark(1), {EVERY: {f"m{n:03}": every(n) for n in range(100)}})
    recut(brand.log, rows_in_a_group=16)
    publish(brand, CATALOG, store)
    assert parity(brand, CATALOG, store).ok
    changed = {f"m{n:03}": every(n + n % 3) for n in range(0, 100, 2)}
    snapshot(brand, mark(2), {EVERY: changed})
    recut(brand.log, rows_in_a_group=16)
    report = publish(brand, CATALOG, store).views[EVERY.name]
    assert (report.upserts, report.deletes) == (sum(n % 3 > 0 for n in range(0, 100, 2)), 50)
    assert parity(brand, CATALOG, store).ok


def test_huge_values_are_sent_in_smaller_batches(
    brand: Brand, store: OnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.online.publisher.BATCH_BYTES", 100_000)
    word = "线上" * 20_000
    snapshot(brand, mark(1), {SMALL: {f"m{n}": {"channel": word + str(n)} for n in range(12)}})
    publish(brand, CATALOG, store)
    assert parity(brand, CATALOG, store).ok


def test_members_without_any_text_encode_too(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(1), {SMALL: {"": {}, "é'\"{}*?[x]\\\r\n": {"orders": 1}}})
    publish(brand, CATALOG, store)
    assert parity(brand, CATALOG, store).ok
    snapshot(brand, mark(2), {SMALL: {}})
    assert publish(brand, CATALOG, store).writes == 2
    assert [key for keys in store.keys(SMALL) for key in keys] == []


def test_deleting_spares_what_is_newer(store: OnlineStore) -> None:
    write(store, 3, small(a=1, b=1))
    keys = pa.array([entity_key(["member_id"], [name]) for name in ("a", "b", "nobody")])
    micros = int(mark(2).as_of.timestamp()) * 1_000_000
    day = int(timedelta(days=1).total_seconds()) * 1_000_000
    events = pa.array([micros, micros + day, micros + day])
    done = store.delete(SMALL, keys, events)
    assert (done.keys, done.kept_newer) == (1, 1)
    assert held(store, SMALL, ["a", "b"]) == {"a": (1, "shop"), "b": None}
