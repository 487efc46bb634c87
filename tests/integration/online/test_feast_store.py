"""Feast beside us: its SDK reads what we publish, and our engine writes what its engine writes."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import redis
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.data_format import ParquetFormat
from feast.types import (
    Array,
    Bool,
    Float64,
    Int32,
    Int64,
    String,
    UnixTimestamp,
)

from pipelines.core import catalog
from pipelines.core.feature_log import FeatureLog
from pipelines.core.home import Brand
from pipelines.online.batch_engine import ArrowBatchEngine, _store
from pipelines.online.parity import parity
from pipelines.online.publisher import publish
from pipelines.online.stores import OnlineStore
from tests.online_sample import CATALOG, EVERY, NAMES, SMALL, every, mark, snapshot

pytestmark = pytest.mark.integration

TYPES = {
    "String": String,
    "Int64": Int64,
    "Float64": Float64,
    "Bool": Bool,
    "UnixTimestamp": UnixTimestamp,
    "Array(String)": Array(String),
    "Array(UnixTimestamp)": Array(UnixTimestamp),
    "Array(Float64)": Array(Float64),
    "Array(Int64)": Array(Int64),
}
MEMBER = Entity(name="member", join_keys=["member_id"], value_type=ValueType.STRING)
OURS = "pipelines.online.batch_engine.ArrowBatchEngine"
FROM, TO = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)


def feast_view(brand: Brand, view: catalog.FeatureView, **other_types: Any) -> FeatureView:
    types = {f.name: other_types.get(f.name, TYPES[f.feast_type]) for f in view.features}
    return FeatureView(
        name=view.name,
        entities=[MEMBER],
        ttl=timedelta(0),
        schema=[Field(name="member_id", dtype=String)]
        + [Field(name=name, dtype=dtype) for name, dtype in types.items()],
        source=FileSource(
            name=f"{view.name}_log",
            path=str(brand.log / view.name / "*.parquet"),
            file_format=ParquetFormat(),
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        ),
    )


def feast_store(
    kind: str, brand: Brand, project: str, url: str, engine: str = "local", **views: FeatureView
) -> FeatureStore:
    online: dict[str, Any] = {"type": "sqlite", "path": str(brand.root / f"{project}.db")}
    if kind == "redis":
        online = {"type": "redis", "connection_string": url.removeprefix("redis://").split("/")[0]}
    config = RepoConfig(
        project=project,
        provider="local",
        registry=str(brand.root / f"{project}.registry"),
        online_store=online,
        offline_store={"type": "duckdb"},
        batch_engine={"type": engine},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    chosen = list(views.values()) or [feast_view(brand, EVERY)]
    store.apply([MEMBER, *chosen])
    return store


@pytest.fixture(params=["sqlite", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("redis_url") if kind == "redis" else ""


def dump(kind: str, brand: Brand, project: str, url: str) -> Any:
    """Every cell of a project, with all that Feast keeps beside its value."""
    if kind == "redis":
        with redis.Redis.from_url(url) as client:
            suffix = project.encode()
            keys = client.keys(b"\x01*" + suffix)
            return {key.removesuffix(suffix): client.hgetall(key) for key in keys}
    with sqlite3.connect(brand.root / f"{project}.db") as db:
        return db.execute(f'select * from "{project}_{EVERY.name}" order by 1, 2').fetchall()


def friendly(n: int) -> dict[str, Any]:
    """As `every`, without the values that Feast itself writes wrong (see the encoder's tests)."""
    at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=n)
    return {**every(n), NAMES["bigint"]: n - 5, NAMES["timestamptz"]: at}


def ours(store: FeatureStore) -> OnlineStore:
    found = _store(store.config, store._get_provider().online_store)
    assert found is not None
    return found


def test_the_sdk_reads_every_type_as_the_log_has_it(kind: str, brand: Brand, url: str) -> None:
    members = {f"m{n}": every(n) for n in range(40)}
    snapshot(brand, mark(1), {EVERY: members})
    store = feast_store(kind, brand, brand.project, url)
    publish(brand, CATALOG, ours(store))
    names = [f.name for f in EVERY.features]
    response = store.get_online_features(
        features=[f"{EVERY.name}:{name}" for name in names],
        entity_rows=[{"member_id": member} for member in members],
    ).to_dict()
    for name in names:
        assert response[name] == [values[name] for values in members.values()], name
    stranger = store.get_online_features(
        features=[f"{EVERY.name}:{name}" for name in names], entity_rows=[{"member_id": "nobody"}]
    ).to_dict()
    assert all(stranger[name] == [None] for name in names)


@pytest.mark.parametrize("writer", ["publisher", "engine"])
def test_cell_for_cell_the_layout_is_what_feast_itself_writes(
    kind: str, writer: str, brand: Brand, url: str
) -> None:
    """Values, text, event and creation time: nothing tells our store from Feast's."""
    snapshot(brand, mark(1), {EVERY: {f"m{n}": friendly(n) for n in range(30)}})
    snapshot(brand, mark(2), {EVERY: {f"m{n}": friendly(n + n % 2) for n in range(30)}})
    theirs = feast_store(kind, brand, "theirs", url)
    theirs.materialize(FROM, TO)
    store = feast_store(kind, brand, "ours", url, OURS)
    if writer == "engine":
        assert isinstance(store._get_provider().batch_engine, ArrowBatchEngine)
        store.materialize(FROM, TO)
    else:
        publish(brand, CATALOG, ours(store))
    assert len(dump(kind, brand, "ours", url)) == (30 if kind == "redis" else 30 * 9)
    assert dump(kind, brand, "ours", url) == dump(kind, brand, "theirs", url)


def test_materializing_the_log_deletes_who_left(kind: str, brand: Brand, url: str) -> None:
    """Feast's own engine would turn the tombstone into a member of nulls."""
    snapshot(brand, mark(1), {EVERY: {"a": every(1), "b": every(2)}})
    store = feast_store(kind, brand, brand.project, url, OURS)
    store.materialize(FROM, TO)
    snapshot(brand, mark(2), {EVERY: {"a": every(1)}})
    store.materialize(FROM, TO)
    assert [len(keys) for keys in ours(store).keys(EVERY)] == [1]


def test_materializing_an_old_range_never_overwrites_what_is_newer(
    kind: str, brand: Brand, url: str
) -> None:
    """On SQLite Feast's own engine lets the value written last win."""
    snapshot(brand, mark(1), {EVERY: {"a": every(1), "b": every(1)}})
    snapshot(brand, mark(5), {EVERY: {"a": every(5), "b": every(1)}})
    store = feast_store(kind, brand, brand.project, url, OURS)
    publish(brand, CATALOG, ours(store))
    store.materialize(FROM, mark(3).as_of)
    assert parity(brand, CATALOG, ours(store)).ok


def test_publishing_after_materializing_agrees_with_it(kind: str, brand: Brand, url: str) -> None:
    snapshot(brand, mark(1), {EVERY: {f"m{n}": every(n) for n in range(10)}})
    store = feast_store(kind, brand, brand.project, url, OURS)
    store.materialize(FROM, TO)
    publish(brand, CATALOG, ours(store))
    assert parity(brand, CATALOG, ours(store)).ok


def test_a_type_the_encoder_does_not_know_is_left_to_feasts_engine(
    brand: Brand, tmp_path: Path
) -> None:
    snapshot(brand, mark(1), {SMALL: {"a": {"orders": 7, "channel": "shop"}}})
    view = feast_view(brand, SMALL, orders=Int32)
    store = feast_store("sqlite", brand, brand.project, "", OURS, small=view)
    store.materialize(FROM, TO)
    row = store.get_online_features(
        features=[f"{SMALL.name}:orders"], entity_rows=[{"member_id": "a"}]
    )
    assert row.to_dict()["orders"] == [7]
    assert row.proto.results[1].values[0].WhichOneof("val") == "int32_val"


def test_a_plain_source_without_tombstones_or_second_clock_is_materialized(brand: Brand) -> None:
    snapshot(brand, mark(1), {SMALL: {f"m{n}": {"orders": n} for n in range(5)}})
    rows = FeatureLog(brand.log).state(SMALL, mark(1)).read_all()
    plain = brand.root / "plain.parquet"
    pq.write_table(rows.drop_columns(["created_timestamp"]), plain)
    view = feast_view(brand, SMALL)
    view.batch_source = FileSource(path=str(plain), timestamp_field="event_timestamp")
    store = feast_store("sqlite", brand, brand.project, "", OURS, small=view)
    store.materialize(FROM, TO)
    response = store.get_online_features(
        features=[f"{SMALL.name}:orders"],
        entity_rows=[{"member_id": f"m{n}"} for n in range(5)],
    ).to_dict()
    assert response["orders"] == [0, 1, 2, 3, 4]
