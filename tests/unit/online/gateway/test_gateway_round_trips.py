"""What a request costs the store: one read, and no work on definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pipelines.core.home import Brand
from pipelines.online.stores import Asked, OnlineStore, Published, Reading, ReadPlan
from tests import gateway_sample as sample
from tests.unit.online.gateway.conftest import MakeClient


class Counting:
    """The store, and how often it was asked."""

    def __init__(self, store: OnlineStore) -> None:
        self._store = store
        self.reads = self.plans = 0

    def plan(self, join_keys: Sequence[str], columns: Sequence[tuple[str, str]]) -> ReadPlan:
        self.plans += 1
        return self._store.plan(join_keys, columns)

    def read(self, asked: Asked) -> Reading:
        self.reads += 1
        return self._store.read(asked)

    async def read_async(self, asked: Asked) -> Reading:
        self.reads += 1
        return await self._store.read_async(asked)

    def watermarks(self) -> Mapping[str, Published]:
        self.reads += 1
        return self._store.watermarks()

    def close(self) -> None:
        self._store.close()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/members/anna?service=chat_sidebar_v1", None),
        ("GET", "/v1/members/anna/tags", None),
        (
            "POST",
            "/v1/members:batch",
            {"service": "chat_sidebar_v1", "member_ids": [f"m{i}" for i in range(300)]},
        ),
        (
            "POST",
            "/get-online-features",
            {
                "feature_service": "store_v1",
                "entities": {"member_id": ["anna", "bao"], "store_id": ["s1", "s1"]},
            },
        ),
        (
            "POST",
            "/get-online-features",
            {"features": ["member_risk_v1:reasons"], "entities": {"member_id": ["anna"]}},
        ),
    ],
)
def test_a_request_asks_the_store_once_and_plans_nothing_again(
    make_client: MakeClient, brand: Brand, method: str, path: str, body: Any
) -> None:
    store = Counting(sample.sqlite_store(brand))
    client = make_client(store)
    assert client.request(method, path, json=body).status_code == 200
    assert store.reads == 1
    plans = store.plans
    assert client.request(method, path, json=body).status_code == 200
    assert (store.reads, store.plans) == (2, plans)
