"""Parity sees every way in which a store can differ from its log, and says where."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from pipelines.core.catalog import Catalog, FeatureView
from pipelines.core.home import Brand
from pipelines.online.encoder import Encoded, encode
from pipelines.online.parity import Difference, ParityReport, parity
from pipelines.online.publisher import publish
from pipelines.online.stores import OnlineStore
from pipelines.online.turn import PublishError, alone
from tests.online_sample import CATALOG, EVERY, NAMES, SMALL, every, mark, rows, snapshot, view

pytestmark = pytest.mark.integration

LISTS = view("member_lists_v1", {"tags": "varchar[]", "word": "varchar", "at": "timestamptz"})
LISTED = Catalog({LISTS.name: LISTS}, {})
HOUR = datetime(2025, 1, 1, 5, tzinfo=UTC)
MEMBERS: dict[str, dict[str, Any]] = {
    "a": {"tags": [], "word": "", "at": HOUR},
    "b": {"tags": None, "word": None},
    "c": {"tags": ["x"], "word": "w"},
}


def meddle(store: OnlineStore, members: dict[str, dict[str, Any]], at: int = 1) -> None:
    """Write other values than the log's, as of the same day."""
    (batch,) = rows(LISTS, members, mark(at)).to_batches()
    store.write(LISTS, encode(LISTS, batch), guard=False)


@pytest.fixture
def published(brand: Brand, store: OnlineStore) -> OnlineStore:
    snapshot(brand, mark(1), {LISTS: MEMBERS})
    publish(brand, LISTED, store)
    assert parity(brand, LISTED, store).ok
    return store


def named(report: ParityReport) -> list[Difference]:
    return sorted(report.differences, key=lambda d: (d.key, d.feature))


def test_each_differing_cell_is_named_with_both_sides(brand: Brand, published: OnlineStore) -> None:
    changed = {
        "a": {"tags": None, "word": None, "at": HOUR + timedelta(seconds=1)},
        "b": {"tags": [], "word": ""},
        "c": {"tags": ["x", ""], "word": "w"},
    }
    meddle(published, changed)
    report = parity(brand, LISTED, published)
    seconds = int(HOUR.timestamp())
    assert named(report) == [
        Difference(LISTS.name, ("a",), "at", str(seconds), str(seconds + 1)),
        Difference(LISTS.name, ("a",), "tags", "[]", "None"),
        Difference(LISTS.name, ("a",), "word", "''", "None"),
        Difference(LISTS.name, ("b",), "tags", "None", "[]"),
        Difference(LISTS.name, ("b",), "word", "None", "''"),
        Difference(LISTS.name, ("c",), "tags", "['x']", "['x', '']"),
    ]
    assert (report.ok, report.differing, report.cells) == (False, 6, 9)


def test_a_missing_member_is_absent_and_not_null(brand: Brand, published: OnlineStore) -> None:
    (batch,) = rows(LISTS, {"b": {}}, mark(1)).to_batches()
    gone = encode(LISTS, batch)
    published.delete(LISTS, gone.keys, gone.event_us)
    report = parity(brand, LISTED, published)
    assert {(d.feature, d.log, d.store) for d in report.differences} == {
        ("tags", "None", "absent"),
        ("word", "None", "absent"),
        ("at", "None", "absent"),
        ("event_timestamp", "2025-03-01 00:00:00+00:00", "absent"),
    }


def test_a_wrong_event_time_is_a_difference(brand: Brand, published: OnlineStore) -> None:
    """It would make the store refuse the next change."""
    meddle(published, {"c": MEMBERS["c"]}, at=2)
    (difference,) = parity(brand, LISTED, published).differences
    assert (difference.key, difference.feature) == (("c",), "event_timestamp")


def test_orphans_are_named_and_deleted_only_when_told(brand: Brand, published: OnlineStore) -> None:
    meddle(published, {"stranger": {"word": "?"}})
    for _ in range(2):
        report = parity(brand, LISTED, published)
        assert (report.ok, report.orphans) == (False, [(LISTS.name, ("stranger",))])
    assert parity(brand, LISTED, published, reconcile=True).orphaned == 1
    assert parity(brand, LISTED, published).ok


def test_orphans_are_deleted_beside_a_sample_too_but_not_beside_a_publish(
    brand: Brand, published: OnlineStore
) -> None:
    meddle(published, {"stranger": {"word": "?"}})
    with alone(brand), pytest.raises(PublishError, match="under way"):
        parity(brand, LISTED, published, 1, reconcile=True)
    assert parity(brand, LISTED, published, 1, reconcile=True).orphaned == 1
    assert parity(brand, LISTED, published).ok


def test_what_is_newer_than_the_log_is_no_orphan_to_delete(
    brand: Brand, published: OnlineStore
) -> None:
    """A push may be ahead of the log; it is named and stays."""
    meddle(published, {"newcomer": {"word": "!"}}, at=4)
    assert parity(brand, LISTED, published, reconcile=True).orphaned == 1
    assert parity(brand, LISTED, published).orphaned == 1


def test_other_brands_of_the_same_store_are_left_alone(
    brand: Brand, published: OnlineStore, request: pytest.FixtureRequest
) -> None:
    """Their projects may end in ours: keys are told apart by parsing, not by their last bytes."""
    if "redis" in str(request.node.name):
        from pipelines.online.redis_store import RedisStore

        other = RedisStore(request.getfixturevalue("redis_url"), "x" + brand.project)
        meddle(other, {"theirs": {"word": "!"}})
        assert parity(brand, LISTED, published, reconcile=True).ok
        assert [len(keys) for keys in other.keys(LISTS)] == [1]


def test_a_sample_looks_at_some_of_the_members(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(1), {SMALL: {f"m{n}": {"orders": n} for n in range(300)}})
    publish(brand, CATALOG, store)
    report = parity(brand, CATALOG, store, sample=30)
    assert (report.ok, report.views[SMALL.name].keys) == (True, 30)


def test_the_named_cells_are_bounded_and_the_counts_are_not(
    brand: Brand, store: OnlineStore
) -> None:
    snapshot(brand, mark(1), {SMALL: {f"m{n}": {"orders": n} for n in range(300)}})
    publish(brand, CATALOG, store)
    (batch,) = rows(SMALL, {f"m{n}": {"orders": -1} for n in range(300)}, mark(1)).to_batches()
    store.write(SMALL, encode(SMALL, batch))
    report = parity(brand, CATALOG, store)
    assert (report.differing, len(report.differences)) == (300, 100)
    assert report.views[SMALL.name].differing == {"orders": 300}


def test_an_encoder_that_lies_is_found_by_decoding(
    brand: Brand, store: OnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparing bytes alone would let an encoder agree with itself."""

    def swapped(of: FeatureView, batch: pa.RecordBatch) -> Encoded:
        honest = encode(of, batch)
        values = list(honest.values)
        at = [f.name for f in EVERY.features].index(NAMES["bigint"])
        values[at] = honest.values[at].take(list(reversed(range(len(honest.keys)))))
        return replace(honest, values=tuple(values))

    monkeypatch.setattr("pipelines.online.publisher.encode", swapped)
    monkeypatch.setattr("pipelines.online.parity.encode", swapped)
    snapshot(brand, mark(1), {EVERY: {f"m{n}": every(n) for n in range(10)}})
    publish(brand, CATALOG, store)
    report = parity(brand, CATALOG, store)
    assert set(report.views[EVERY.name].differing) == {NAMES["bigint"]}


def test_what_was_never_published_is_not_compared(brand: Brand, store: OnlineStore) -> None:
    snapshot(brand, mark(1), {SMALL: {"a": {"orders": 1}}})
    report = parity(brand, CATALOG, store)
    assert (report.ok, report.cells, report.views[SMALL.name].at) == (True, 0, None)


def test_the_log_is_read_at_the_stores_watermark(brand: Brand, store: OnlineStore) -> None:
    """A newer snapshot that is not yet published is no difference."""
    snapshot(brand, mark(1), {SMALL: {"a": {"orders": 1}}})
    publish(brand, CATALOG, store)
    snapshot(brand, mark(2), {SMALL: {"b": {"orders": 2}}})
    assert parity(brand, CATALOG, store).ok
