"""Feast's SDK reads the gateway as it reads the stores themselves, type by type."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.core.clock import FrozenClock
from pipelines.core.home import Brand
from pipelines.online.gateway.app import Gateway
from pipelines.online.gateway.settings import Settings
from pipelines.online.resp import parse_url
from tests import gateway_sample as sample
from tests.integration.gateway.conftest import listening

pytestmark = pytest.mark.integration

PROBE = {"member_id": ["full", "zero", "null"]}
REFS = [f"{sample.PROBE.name}:{feature.name}" for feature in sample.PROBE.features]


@dataclass(frozen=True)
class World:
    """The sample published to one store, Feast's stores over it, and a gateway before it."""

    direct: Any
    typed: Any
    stock: Any
    url: str


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    brand = sample.make_brand(folder)
    if request.param == "redis":
        url = request.getfixturevalue("redis_server")
        store: Any = sample.redis_store(brand, url)
        address = parse_url(url).address
        online = {
            "type": "redis",
            "connection_string": f"{address.host}:{address.port},db={address.db}",
        }
    else:
        store = sample.sqlite_store(brand)
        online = {"type": "sqlite", "path": str(brand.online_sqlite)}
    direct = feast_store(brand, folder / "direct.db", online)
    direct.apply(definitions(folder))
    stores = {}
    gateway = Gateway(
        brand, store, settings=Settings(request_log=False), clock=FrozenClock(sample.NOW)
    )
    with listening(gateway) as url:
        for name, kind in (
            ("typed", "huitou_client.feast_store.HuitouOnlineStore"),
            ("stock", "remote"),
        ):
            registry = folder / f"{name}.db"
            shutil.copy(folder / "direct.db", registry)
            stores[name] = feast_store(brand, registry, {"type": kind, "path": url})
        yield World(direct, stores["typed"], stores["stock"], url)
    if request.param == "redis":
        import redis

        with redis.Redis.from_url(request.getfixturevalue("redis_server")) as client:
            client.flushdb()


def feast_store(brand: Brand, registry: Path, online: dict[str, str]) -> Any:
    from feast import FeatureStore, RepoConfig

    return FeatureStore(
        config=RepoConfig(
            project=brand.project,
            provider="local",
            registry=str(registry),
            online_store=online,
            entity_key_serialization_version=3,
        )
    )


def definitions(folder: Path) -> list[Any]:
    """The sample's catalogue as Feast has it."""
    from datetime import timedelta

    from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Bool, Float64, Int64, String, UnixTimestamp

    kinds = {"String": String, "Int64": Int64, "Float64": Float64, "Bool": Bool}
    kinds["UnixTimestamp"] = UnixTimestamp
    kinds |= {f"Array({name})": Array(kind) for name, kind in kinds.items()}
    entities = {
        name: Entity(name=name, join_keys=[f"{name}_id"], value_type=ValueType.STRING)
        for name in ("member", "store")
    }
    path = folder / "empty.parquet"
    pq.write_table(pa.Table.from_batches([sample.batch(sample.PROBE, {})]), path)
    views = {
        view.name: FeatureView(
            name=view.name,
            entities=[entities[view.entity]],
            ttl=timedelta(0),
            schema=[
                Field(name=view.join_keys[0], dtype=String),
                *(Field(name=f.name, dtype=kinds[f.feast_type]) for f in view.features),
            ],
            source=FileSource(path=str(path), timestamp_field="event_timestamp"),
        )
        for view in sample.VIEWS
    }
    services = [
        FeatureService(name=service.name, features=[views[name] for name in _views(service)])
        for service in sample.SERVICES
        if service.online
    ]
    return [*entities.values(), *views.values(), *services]


def _views(service: Any) -> list[str]:
    return list(dict.fromkeys(view for view, _ in service.features))


def ask(store: Any, features: Any, rows: dict[str, list[str]], **options: Any) -> Any:
    return store.get_online_features(features=features, entity_rows=rows, **options)


def vectors(response: Any) -> dict[str, tuple[list[Any], list[int]]]:
    names = response.proto.metadata.feature_names.val
    return {
        name: (list(result.values), list(result.statuses))
        for name, result in zip(names, response.proto.results, strict=True)
    }


def test_every_type_arrives_equal_to_a_direct_read(world: World) -> None:
    """Values with their protobuf types, statuses, nulls, empty lists and texts."""
    direct = vectors(ask(world.direct, REFS, PROBE))
    assert vectors(ask(world.typed, REFS, PROBE)) == direct
    assert direct["texts"][0][1].WhichOneof("val") == "string_list_val"  # empty, not null
    assert direct["texts"][0][2].WhichOneof("val") is None


def test_a_service_arrives_equal_to_a_direct_read(world: World) -> None:
    for name in ("probe_v1", "lenient_v1"):
        rows = PROBE if name == "probe_v1" else {"member_id": ["anna", "bao", "chen"]}
        services = [one.get_feature_service(name) for one in (world.direct, world.typed)]
        direct = ask(world.direct, services[0], rows, full_feature_names=True)
        typed = ask(world.typed, services[1], rows, full_feature_names=True)
        assert vectors(typed) == vectors(direct)
        assert typed.to_dict() == direct.to_dict()


def test_event_times_arrive_too(world: World) -> None:
    for store in (world.direct, world.typed):
        found = ask(store, REFS[:1], PROBE).to_dict(include_event_timestamps=True)
        assert found["whole__ts"] == [int(sample.SINCE.timestamp())] * 3


def test_feasts_own_remote_store_reads_it_with_the_types_it_can_tell(world: World) -> None:
    """It guesses from JSON: instants become whole numbers, an empty list becomes null."""
    direct = ask(world.direct, REFS, PROBE).to_dict()
    stock = ask(world.stock, REFS, PROBE).to_dict()
    assert stock["at"] == [int(at.timestamp()) if at else None for at in direct["at"]]
    assert stock["instants"][0] == [int(at.timestamp()) for at in direct["instants"][0]]
    assert direct["texts"] == [["甲", "", "c"], [], None]
    assert stock["texts"] == [["甲", "", "c"], None, None]
    same = ("member_id", "whole", "part", "words", "flag")
    assert {name: stock[name] for name in same} == {name: direct[name] for name in same}


def test_feasts_typed_read_of_one_view_is_equal_too(world: World) -> None:
    """`online_read`, which older SDKs and other parts of Feast use, knows the types."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    keys = [
        EntityKey(join_keys=["member_id"], entity_values=[Value(string_val=name)])
        for name in PROBE["member_id"]
    ]
    names = [feature.name for feature in sample.PROBE.features]

    def read(store: Any) -> list[Any]:
        view = store.get_feature_view(sample.PROBE.name)
        online = store._get_provider().online_store
        rows = online.online_read(store.config, view, keys, names)
        return [values for _, values in rows]

    assert read(world.stock) == read(world.direct)


def test_an_unknown_member_is_not_found_whatever_the_store(world: World) -> None:
    from feast.protos.feast.serving.ServingService_pb2 import FieldStatus

    found = vectors(ask(world.typed, REFS, {"member_id": ["nobody"]}))
    assert {tuple(statuses) for name, (_, statuses) in found.items() if name != "member_id"} == {
        (FieldStatus.NOT_FOUND,)
    }


def test_the_answer_is_feasts_own_to_the_letter(world: World) -> None:
    """What Feast's feature server says over the same store, but for the order: its is random."""
    from feast.feature_server import get_app

    body = {"features": REFS, "entities": PROBE, "full_feature_names": True}

    async def theirs() -> dict[str, Any]:
        transport = httpx.ASGITransport(get_app(world.direct))
        async with httpx.AsyncClient(transport=transport, base_url="http://feast") as client:
            answer = await client.post("/get-online-features", json=body, timeout=30)
            return by_name(answer.json())

    ours = by_name(httpx.post(f"{world.url}/get-online-features", json=body).json())
    assert ours == asyncio.run(theirs())


def by_name(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with its vectors under their names, which lie beside each other on the wire."""
    metadata = dict(answer["metadata"])
    names = metadata.pop("feature_names")
    assert len(names) == len(answer["results"])
    rest = {key: value for key, value in answer.items() if key not in ("metadata", "results")}
    vectors = {name: json.dumps(one) for name, one in zip(names, answer["results"], strict=True)}
    return {"vectors": vectors, "metadata": metadata, "rest": rest}
