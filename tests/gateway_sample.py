"""A small brand, published: definitions of every type and rule, six members, both stores.

Shared by the unit and the integration tests of the gateway. The rows are literal; the expected
answers in the tests are worked out from them by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa

from pipelines.core.catalog import Catalog, Feature, FeatureView, Service
from pipelines.core.home import Brand
from pipelines.online.encoder import encode
from pipelines.online.gateway.app import Gateway
from pipelines.online.redis_store import RedisStore
from pipelines.online.sqlite_store import SqliteStore
from pipelines.online.stores import OnlineStore, Published

AS_OF = datetime(2025, 3, 1, 16, tzinfo=UTC)  # the run for 1 March ends at midnight in Shanghai
NOW = AS_OF + timedelta(hours=3)
KNOWN_AT = AS_OF + timedelta(minutes=20)
SINCE = datetime(2025, 2, 27, 16, tzinfo=UTC)
SNAPSHOT = "20250301T160000000000Z-20250301T162000000000Z"
OPEN = datetime(9999, 12, 31, tzinfo=UTC)
DAY = timedelta(days=1)

TYPES = {
    "bigint": pa.int64(),
    "double": pa.float64(),
    "varchar": pa.string(),
    "boolean": pa.bool_(),
    "timestamptz": pa.timestamp("us", "UTC"),
    "varchar[]": pa.list_(pa.string()),
    "timestamptz[]": pa.list_(pa.timestamp("us", "UTC")),
    "double[]": pa.list_(pa.float64()),
    "bigint[]": pa.list_(pa.int64()),
}


def view(
    name: str,
    features: Mapping[str, str],
    *,
    entity: str = "member",
    purpose: str = "",
    max_age_s: int = 48 * 3600,
) -> FeatureView:
    return FeatureView(
        name=name,
        description=f"Sample of {name}.",
        entity=entity,
        join_keys=(f"{entity}_id",),
        features=tuple(Feature(n, t, f"The {n} of a {entity}.") for n, t in features.items()),
        max_age_s=max_age_s,
        slo_s=26 * 3600,
        owner="data",
        domain="sample",
        pii="none",
        purpose=purpose,
    )


ORDERS = view(
    "member_orders_v1",
    {
        "order_count_90d": "bigint",
        "discount_order_share_365d": "double",
        "primary_channel": "varchar",
        "last_order_at": "timestamptz",
    },
)
TAGS = view(
    "member_tags_v1",
    {
        "tags": "varchar[]",
        "tag_from": "timestamptz[]",
        "tag_until": "timestamptz[]",
        "tag_set_hash": "varchar",
    },
)
COUPONS = view(
    "member_coupons_v1", {"open_coupons": "varchar", "next_coupon_expiry_at": "timestamptz"}
)
CONTACT = view(
    "member_contact_v1",
    {
        "promo_touches_30d": "bigint",
        "wecom_quota_left": "bigint",
        "consent_marketing": "boolean",
        "consent_profiling": "boolean",
        "holdout_arm": "varchar",
        "recent_promo_instants": "timestamptz[]",
    },
    max_age_s=6 * 3600,
)
RISK = view(
    "member_risk_v1",
    {"p_churn_90d": "double", "reasons": "varchar[]"},
    purpose="profiling",
    max_age_s=8 * 86400,
)
PROBE = view(
    "member_probe_v1",
    {
        "whole": "bigint",
        "part": "double",
        "words": "varchar",
        "flag": "boolean",
        "at": "timestamptz",
        "texts": "varchar[]",
        "instants": "timestamptz[]",
        "shares": "double[]",
        "counts": "bigint[]",
    },
)
STORE_HOT = view("store_hot_v1", {"hot_skus_7d": "varchar[]"}, entity="store")
VIEWS = (ORDERS, TAGS, COUPONS, CONTACT, RISK, PROBE, STORE_HOT)


def service(
    name: str, *views: FeatureView, serve_stale: bool = False, online: bool = True
) -> Service:
    chosen = tuple((view.name, feature.name) for view in views for feature in view.features)
    return Service(name, f"What {name} is promised.", "data", chosen, serve_stale, online)


SIDEBAR = service("chat_sidebar_v1", ORDERS, TAGS, COUPONS, CONTACT, RISK)
SENDER = service("mass_sender_v1", TAGS, CONTACT)
SERVICES = (
    SIDEBAR,
    SENDER,
    service("lenient_v1", ORDERS, serve_stale=True),
    service("probe_v1", PROBE),
    service("store_v1", STORE_HOT, ORDERS),
    service("training_v1", ORDERS, online=False),
)


def catalog(
    *, views: Sequence[FeatureView] = VIEWS, services: Sequence[Service] = SERVICES
) -> Catalog:
    return Catalog({v.name: v for v in views}, {s.name: s for s in services})


def intervals(*tags: tuple[str, datetime, datetime]) -> dict[str, Any]:
    codes, starts, ends = zip(*tags, strict=True) if tags else ((), (), ())
    return {"tags": list(codes), "tag_from": list(starts), "tag_until": list(ends)}


def contact(*, marketing: bool | None, profiling: bool | None, **more: Any) -> dict[str, Any]:
    values = {"promo_touches_30d": 0, "wecom_quota_left": 3, "recent_promo_instants": []}
    return {
        **values,
        "holdout_arm": None,
        "consent_marketing": marketing,
        "consent_profiling": profiling,
        **more,
    }


FRIENDLY = intervals(
    ("lifecycle.repeat_active", SINCE, NOW + 10 * DAY),
    ("rfm.important_value", SINCE, OPEN),
    ("coupon.expiring_3d", NOW + DAY, NOW + 4 * DAY),  # begins tomorrow
    ("lifecycle.cooling", NOW + 10 * DAY, OPEN),
)
ROWS: dict[str, dict[str, dict[str, Any]]] = {
    ORDERS.name: {
        "anna": {
            "order_count_90d": 3,
            "discount_order_share_365d": 0.25,
            "primary_channel": "store",
            "last_order_at": AS_OF - 10 * DAY,
        },
        "bao": {
            "order_count_90d": 0,
            "discount_order_share_365d": None,
            "primary_channel": "",
            "last_order_at": None,
        },
        "chen": dict.fromkeys((f.name for f in ORDERS.features), None),
        "會員/1": {"order_count_90d": 1, "primary_channel": "小程序"},
    },
    TAGS.name: {
        "anna": {**FRIENDLY, "tag_set_hash": "a1"},
        "bao": {**FRIENDLY, "tag_set_hash": "b1"},
        "chen": {**intervals(), "tag_set_hash": "c1"},
    },
    COUPONS.name: {
        "anna": {
            "open_coupons": '[{"issue_id":"i1","valid_from":"2025-02-01T00:00:00.000000Z",'
            '"expires_at":"2025-03-01T18:00:00.000000Z"},'
            '{"issue_id":"i2","valid_from":null,"expires_at":"2025-03-06T19:00:00.000000Z"},'
            '{"issue_id":"i3","valid_from":"2025-03-02T19:00:00.000000Z","expires_at":null}]',
            "next_coupon_expiry_at": AS_OF + timedelta(hours=2),  # past at NOW
        },
    },
    CONTACT.name: {
        "anna": contact(marketing=True, profiling=True),
        "bao": contact(marketing=False, profiling=False),
        "chen": contact(marketing=None, profiling=None),
        "dora": contact(
            marketing=True,
            profiling=True,
            recent_promo_instants=[NOW - n * DAY for n in (1, 2, 3, 29)],
            holdout_arm="holdout",
            wecom_quota_left=0,
        ),
    },
    RISK.name: {
        name: {"p_churn_90d": 0.125, "reasons": ["gap_long"]} for name in ("anna", "bao", "chen")
    },
    PROBE.name: {
        "full": {
            "whole": -(2**53) - 1,
            "part": 0.1,
            "words": "回頭客 🧋",
            "flag": True,
            "at": AS_OF,
            "texts": ["甲", "", "c"],
            "instants": [SINCE, AS_OF],
            "shares": [0.5, -1.25],
            "counts": [0, -7, 2**40],
        },
        "zero": {
            "whole": 0,
            "part": 0.0,
            "words": "",
            "flag": False,
            "at": datetime(1970, 1, 1, tzinfo=UTC),
            "texts": [],
            "instants": [],
            "shares": [],
            "counts": [],
        },
        "null": dict.fromkeys((f.name for f in PROBE.features), None),
    },
    STORE_HOT.name: {"s1": {"hot_skus_7d": ["sku1", "sku2"]}},
}


def batch(view: FeatureView, rows: Mapping[str, Mapping[str, Any]]) -> pa.RecordBatch:
    """The rows as the feature log would give them."""
    (key,) = view.join_keys
    arrays = [pa.array(list(rows), pa.string())]
    arrays += [
        pa.array([row.get(f.name) for row in rows.values()], TYPES[f.data_type])
        for f in view.features
    ]
    instant = TYPES["timestamptz"]
    arrays += [pa.array([at] * len(rows), instant) for at in (SINCE, KNOWN_AT)]
    names = [key, *(f.name for f in view.features), "event_timestamp", "created_timestamp"]
    return pa.RecordBatch.from_arrays(arrays, names)


def publish(
    store: OnlineStore, view: FeatureView, rows: Mapping[str, Any], as_of: datetime
) -> None:
    """Put the rows into the store and move the view's watermark, as a publish ends."""
    store.prepare(view)
    store.write(view, encode(view, batch(view, rows)), guard=False)
    published = Published(as_of, KNOWN_AT, SNAPSHOT, KNOWN_AT, "sample")
    store.set_watermark(view.name, published)


def fill(store: OnlineStore, as_of: datetime = AS_OF) -> None:
    """Publish the sample."""
    for one in VIEWS:
        publish(store, one, ROWS[one.name], as_of)


def make_brand(root: Path) -> Brand:
    """A brand that has been run, with the sample's definitions."""
    brand = Brand(root / "brands" / "sample")
    brand.agree("sample", root / "landing", "Asia/Shanghai", "CNY")
    catalog().save(brand.catalog)
    return brand


def sqlite_store(brand: Brand, *, filled: bool = True) -> SqliteStore:
    store = SqliteStore(brand.online_sqlite, brand.project, 1.0)
    if filled:
        fill(store)
    return store


def redis_store(brand: Brand, url: str, *, filled: bool = True) -> RedisStore:
    store = RedisStore(url, brand.project, 1.0)
    if filled:
        fill(store)
    return store


def without_expiry(one: FeatureView) -> FeatureView:
    """The view, never too old: for tests that run by the wall clock."""
    ages = {"max_age_s": 10**9, "slo_s": 10**9}
    return replace(one, **ages)


class LocalClient:
    """Calls a gateway in process, one request after the other, in one event loop."""

    def __init__(self, gateway: Gateway, token: str = "") -> None:
        self.gateway = gateway
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._runner = asyncio.Runner()

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        return self._runner.run(self._request(method, path, **given))

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.request("GET", path, **given)

    def post(self, path: str, **given: Any) -> httpx.Response:
        return self.request("POST", path, **given)

    def close(self) -> None:
        self.gateway.reader.close()
        self._runner.close()

    async def _request(self, method: str, path: str, **given: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.gateway, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            headers = {**self.headers, **given.pop("headers", {})}
            return await client.request(method, path, headers=headers, **given)
