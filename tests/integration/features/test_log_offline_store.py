"""Our reader under Feast's offline store: views that grow, and Feast's own join beside it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.core.catalog import FeatureView
from pipelines.core.feature_log import FeatureLog, Watermark
from tests.integration.features.conftest import INSTANT, day, table, view

pytestmark = pytest.mark.integration

Retrieve = Callable[..., list[Any]]


@pytest.fixture
def retrieve(tmp_path: Path) -> Retrieve:
    """Features of one member at some instants, by a view applied to a registry of its own."""
    from feast import Entity, FeatureStore, Field, FileSource, RepoConfig, ValueType
    from feast import FeatureView as Defined
    from feast.types import Int64, String

    def values(path: Path, feature: str, *instants: datetime, ttl: timedelta) -> list[Any]:
        config = RepoConfig(
            project="p",
            provider="local",
            registry=str(tmp_path / "registry.db"),
            offline_store={"type": "pipelines.online.log_offline_store.LogOfflineStore"},
            online_store={"type": "sqlite", "path": str(tmp_path / "online.db")},
            entity_key_serialization_version=3,
        )
        config.repo_path = tmp_path
        store = FeatureStore(config=config)
        member = Entity(name="member", join_keys=["member_id"], value_type=ValueType.STRING)
        source = FileSource(
            path=str(path),
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        )
        schema = [Field(name="member_id", dtype=String), Field(name=feature, dtype=Int64)]
        store.apply(
            [member, Defined(name="v", entities=[member], schema=schema, source=source, ttl=ttl)]
        )
        frame = pd.DataFrame({"member_id": "a", "event_timestamp": instants})
        job = store.get_historical_features(frame, [f"v:{feature}"])
        found: list[Any] = job.to_arrow().sort_by("event_timestamp")[feature].to_pylist()
        return found

    return values


def take(log: FeatureLog, one: FeatureView, number: int, **values: int) -> None:
    at = Watermark.of(day(number), day(number, 2))
    report = log.append(one, table(one, [{"member_id": "a", **values}], at), at)
    log.commit(at, "c1", {one.name: report})


def test_a_feature_added_later_is_null_before(tmp_path: Path, retrieve: Retrieve) -> None:
    log, forever = FeatureLog(tmp_path / "log"), timedelta(0)
    glob = tmp_path / "log" / "member_orders_v1" / "*.parquet"
    take(log, view("member_orders_v1", orders="bigint"), 3, orders=1)
    assert retrieve(glob, "refunds", day(4), ttl=forever) == [None]
    take(log, view("member_orders_v1", orders="bigint", refunds="bigint"), 5, orders=1, refunds=7)
    assert retrieve(glob, "refunds", day(4), day(6), ttl=forever) == [None, 7]
    assert retrieve(glob, "orders", day(4), day(6), ttl=forever) == [1, 1]


def test_a_view_that_was_never_logged_is_null(tmp_path: Path, retrieve: Retrieve) -> None:
    take(FeatureLog(tmp_path / "log"), view("member_orders_v1", orders="bigint"), 3, orders=1)
    glob = tmp_path / "log" / "member_tags_v1" / "*.parquet"
    assert retrieve(glob, "tags", day(4), ttl=timedelta(0)) == [None]


def test_feast_joins_with_a_time_to_live(tmp_path: Path, retrieve: Retrieve) -> None:
    """Our views have none, but this fails with a sqlglot that Feast cannot work with."""
    row = {"member_id": "a", "orders": 1, "event_timestamp": day(3), "created_timestamp": day(3)}
    schema = pa.schema(
        {
            "member_id": pa.string(),
            "orders": pa.int64(),
            "event_timestamp": INSTANT,
            "created_timestamp": INSTANT,
        }
    )
    pq.write_table(pa.Table.from_pylist([row], schema), tmp_path / "orders.parquet")
    path, two_days = tmp_path / "orders.parquet", timedelta(days=2)
    assert retrieve(path, "orders", day(4), day(5), day(6), ttl=two_days) == [1, 1, None]
