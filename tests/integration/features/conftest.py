"""A small brand with a history in its log, and Feast applied to it once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.core.catalog import Catalog, Feature, FeatureView, Service
from pipelines.core.feature_log import Appended, FeatureLog, Watermark
from pipelines.core.files import write_text
from pipelines.core.home import FEATURE_REPO, Brand
from pipelines.online.feast_definitions import generated

INSTANT = pa.timestamp("us", tz="UTC")
ARROW = {
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "varchar": pa.string(),
    "varchar[]": pa.list_(pa.string()),
    "timestamptz": INSTANT,
    "timestamptz[]": pa.list_(INSTANT),
}


def view(name: str, **features: str) -> FeatureView:
    return FeatureView(
        name=name,
        description=f'One row a member; "{name}".',
        entity="member",
        join_keys=("member_id",),
        features=tuple(Feature(f, kind, f"The {f}.", "pcs") for f, kind in features.items()),
        max_age_s=172_800,
        slo_s=93_600,
        owner="data",
        domain="orders",
        pii="none",
        purpose="",
    )


ORDERS = view(
    "member_orders_v1",
    order_count="bigint",
    share="double",
    channel="varchar",
    codes="varchar[]",
    is_active="boolean",
    last_order_at="timestamptz",
    visits="timestamptz[]",
)
RISK = view("member_risk_v1", p_churn_90d="double", basis="varchar")
SURVEY = view("member_survey_v1", answers="bigint", basis="varchar")
CATALOG = Catalog(
    {one.name: one for one in (ORDERS, RISK, SURVEY)},
    {
        name: Service(name, f"For {name}.", "outreach", features, serve_stale=False, online=True)
        for name, features in {
            "churn_train_v1": (
                *((ORDERS.name, feature.name) for feature in ORDERS.features),
                (RISK.name, "p_churn_90d"),
            ),
            "both_bases_v1": ((RISK.name, "basis"), (SURVEY.name, "basis")),
        }.items()
    },
)


def day(number: int, hour: int = 0) -> datetime:
    """An hour of a day of March 2025, UTC."""
    return datetime(2025, 3, number, hour, tzinfo=UTC)


@dataclass(frozen=True)
class Shop:
    """A brand, its log, and the feature repository with the definitions above."""

    brand: Brand
    log: FeatureLog
    repo: Path

    def take(self, at: Watermark, **rows: list[dict[str, Any]]) -> dict[str, Appended]:
        """Append and commit full snapshots of views, named without `member_` and `_v1`."""
        reports = {}
        for short, values in rows.items():
            one = CATALOG.views[f"member_{short}_v1"]
            reports[one.name] = self.log.append(one, table(one, values, at), at)
        self.log.commit(at, CATALOG.version, reports)
        return reports


def table(one: FeatureView, rows: list[dict[str, Any]], at: Watermark) -> pa.Table:
    """The rows of a snapshot as the models would give them."""
    fields = {"member_id": pa.string(), **{f.name: ARROW[f.data_type] for f in one.features}}
    clocks = {"event_timestamp": at.as_of, "created_timestamp": at.known_at}
    schema = pa.schema({**fields, **dict.fromkeys(clocks, INSTANT)})
    return pa.Table.from_pylist([{**row, **clocks} for row in rows], schema)


def copy_repo(folder: Path, catalog: Catalog) -> Path:
    """The feature repository with the definitions of `catalog`."""
    folder.mkdir()
    for name in ("entities.py", "sources.py", "feature_store.yaml", "feature_store.redis.yaml"):
        shutil.copy(FEATURE_REPO / name, folder)
    for path, text in generated(catalog, folder).items():
        write_text(path, text)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose nights are run at 02:00 of the next day; day 5 is corrected on day 8.

    `a` buys on and on; `b` leaves on day 5 and is back on day 7; `c` comes on day 5.
    """
    root = tmp_path_factory.mktemp("home") / "tiny"
    repo = copy_repo(tmp_path_factory.mktemp("work") / "repo", CATALOG)
    shop = Shop(Brand(root), FeatureLog(root / "log"), repo)
    first = {"member_id": "a", "order_count": 1, "share": 0.5, "channel": "", "codes": []}
    first |= {"is_active": True, "last_order_at": day(2), "visits": [day(1), day(2)]}
    second, b = {**first, "order_count": 2, "codes": ["x"]}, {"member_id": "b", "order_count": 1}
    c, risk = {"member_id": "c", "channel": "app"}, [{"member_id": "a", "p_churn_90d": 0.25}]
    shop.take(Watermark.of(day(3), day(3, 2)), orders=[first, b], risk=risk, survey=[])
    shop.take(Watermark.of(day(5), day(5, 2)), orders=[second, c], risk=risk)
    shop.take(Watermark.of(day(7), day(7, 2)), orders=[{**second, "order_count": 3}, b, c])
    shop.take(Watermark.of(day(5), day(8, 2)), orders=[{**second, "order_count": 9}, b, c])
    return shop
