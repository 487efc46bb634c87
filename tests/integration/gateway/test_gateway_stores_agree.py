"""Redis and SQLite hold the same sample, so a gateway says the same over both, to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.core.clock import FrozenClock, iso
from pipelines.online.gateway.app import Gateway
from pipelines.online.gateway.settings import Settings
from tests import gateway_sample as sample
from tests.gateway_sample import LocalClient

pytestmark = pytest.mark.integration

MEMBERS = ["anna", "bao", "chen", "dora", "full", "zero", "null", "nobody", "會員/1"]


@pytest.fixture
def clients(tmp_path: Path, redis_url: str) -> Iterator[list[LocalClient]]:
    brand = sample.make_brand(tmp_path)
    stores: list[Any] = [sample.sqlite_store(brand), sample.redis_store(brand, redis_url)]
    made = [
        LocalClient(
            Gateway(
                brand, store, settings=Settings(request_log=False), clock=FrozenClock(sample.NOW)
            )
        )
        for store in stores
    ]
    yield made
    for client in made:
        client.close()


@pytest.mark.parametrize("hours", [0, 3, 27, 49, 240])
def test_every_answer_is_the_same_over_both_stores(clients: list[LocalClient], hours: int) -> None:
    now = iso(sample.AS_OF + timedelta(hours=hours))
    bodies = [
        ("/v1/members:batch", {"service": service, "member_ids": MEMBERS, "now": now})
        for service in ("chat_sidebar_v1", "mass_sender_v1", "lenient_v1", "probe_v1")
    ]
    stores = {"store_id": ["s1"] * 8 + ["no"], "member_id": MEMBERS}
    bodies.append(
        ("/get-online-features", {"feature_service": "store_v1", "entities": stores, "now": now})
    )
    for path, body in bodies:
        sqlite, redis = (client.post(path, json=body) for client in clients)
        assert sqlite.status_code == 200
        assert sqlite.content == redis.content


def test_a_member_whose_row_was_deleted_is_absent(clients: list[LocalClient]) -> None:
    from pipelines.online.encoder import encode

    gone = encode(sample.ORDERS, sample.batch(sample.ORDERS, {"anna": {}}))
    for client in clients:
        client.gateway.reader.delete(sample.ORDERS, gone.keys, gone.event_us)  # type: ignore[attr-defined]
        found = client.get("/v1/members/anna?service=lenient_v1").json()["features"]
        assert {cell["status"] for cell in found["member_orders_v1"].values()} == {"absent"}
