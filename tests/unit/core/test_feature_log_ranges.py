"""Reading the log a range of keys at a time: what the publisher's checkpoints rest on."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.core.catalog import Feature, FeatureView
from pipelines.core.feature_log import FeatureLog, Watermark

VIEW = FeatureView(
    name="member_counts_v1",
    description="One row a member.",
    entity="member",
    join_keys=("member_id",),
    features=(Feature("orders", "bigint", "Orders."),),
    max_age_s=1,
    slo_s=1,
    owner="data",
    domain="orders",
    pii="none",
    purpose="",
)
INSTANT = pa.timestamp("us", tz="UTC")
KEYS = ["", "a", "a'b", "b", "m01", "m010", "m1", "é", "会员", "🛍"]


def mark(day: int) -> Watermark:
    at = datetime(2025, 3, day, tzinfo=UTC)
    return Watermark.of(at, at)


def snapshot(orders: dict[str, int], at: Watermark) -> pa.Table:
    size = len(orders)
    return pa.table(
        {
            "member_id": pa.array(list(orders), pa.string()),
            "orders": pa.array(list(orders.values()), pa.int64()),
            "event_timestamp": pa.array([at.as_of] * size, INSTANT),
            "created_timestamp": pa.array([at.known_at] * size, INSTANT),
        }
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> FeatureLog:
    """Three days: everyone, then one changed and one gone, then one back."""
    log = FeatureLog(tmp_path_factory.mktemp("log"))
    first = dict.fromkeys(KEYS, 1)
    second = {**{key: 1 for key in KEYS if key != "b"}, "m1": 2}
    for day, orders in ((1, first), (2, second), (3, {**second, "b": 3})):
        report = log.append(VIEW, snapshot(orders, mark(day)), mark(day))
        log.commit(mark(day), "c1", {VIEW.name: report})
    return log


def rows(reader: pa.RecordBatchReader) -> list[dict[str, Any]]:
    return sorted(reader.read_all().to_pylist(), key=lambda row: str(row["member_id"]))


@settings(max_examples=30, deadline=None)
@given(
    bounds=st.lists(st.sampled_from(KEYS), max_size=4, unique=True),
    since=st.sampled_from([None, mark(1), mark(2)]),
)
def test_ranges_side_by_side_hold_every_key_once(
    log: FeatureLog, bounds: list[str], since: Watermark | None
) -> None:
    ends = [None, *sorted(bounds), None]
    pieces = list(pairwise(ends))
    changes = [
        row for piece in pieces for row in rows(log.changes(VIEW, since, mark(3), 10, piece))
    ]
    state = [row for piece in pieces for row in rows(log.state(VIEW, mark(3), 10, piece))]
    assert sorted(changes, key=str) == sorted(rows(log.changes(VIEW, since, mark(3))), key=str)
    assert sorted(state, key=str) == sorted(rows(log.state(VIEW, mark(3))), key=str)


def test_a_range_ends_with_its_second_key_and_starts_after_its_first(log: FeatureLog) -> None:
    found = rows(log.state(VIEW, mark(3), between=("a", "b")))
    assert [row["member_id"] for row in found] == ["a'b", "b"]
