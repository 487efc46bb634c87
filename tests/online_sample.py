"""A view of every feature type, and logs of it: what the tests of the way out share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.core.catalog import FEAST_TYPES, Catalog, Feature, FeatureView
from pipelines.core.feature_log import FeatureLog, Watermark
from pipelines.core.home import Brand

INSTANT = pa.timestamp("us", tz="UTC")
ARROW = {
    "varchar": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamptz": INSTANT,
    "varchar[]": pa.list_(pa.string()),
    "timestamptz[]": pa.list_(INSTANT),
    "double[]": pa.list_(pa.float64()),
    "bigint[]": pa.list_(pa.int64()),
}
#: One feature of each type, named after it.
NAMES = {kind: kind.replace("[]", "s") + "_v" for kind in FEAST_TYPES}


def view(
    name: str, kinds: Mapping[str, str], keys: tuple[str, ...] = ("member_id",)
) -> FeatureView:
    """A feature view of these features (name → dbt type)."""
    return FeatureView(
        name=name,
        description="One row a member.",
        entity="member",
        join_keys=keys,
        features=tuple(Feature(feature, kind, "Words.") for feature, kind in kinds.items()),
        max_age_s=172_800,
        slo_s=93_600,
        owner="data",
        domain="orders",
        pii="none",
        purpose="",
    )


EVERY = view("member_every_v1", {NAMES[kind]: kind for kind in FEAST_TYPES})
SMALL = view("member_small_v1", {"orders": "bigint", "channel": "varchar"})
CATALOG = Catalog({EVERY.name: EVERY, SMALL.name: SMALL}, {})

DAY = datetime(2025, 3, 1, tzinfo=UTC)


def mark(as_of: int, known_at: int | None = None) -> Watermark:
    """The watermark of a run for day `as_of` of March 2025, known two hours into `known_at`."""
    known = DAY + timedelta(days=(known_at or as_of) - 1, hours=2)
    return Watermark.of(DAY + timedelta(days=as_of - 1), known)


def rows(of: FeatureView, members: Mapping[str, Mapping[str, Any]], at: Watermark) -> pa.Table:
    """A full snapshot as the models give it; features not named are null."""
    fields = [pa.field(key, pa.string()) for key in of.join_keys]
    fields += [pa.field(f.name, ARROW[f.data_type]) for f in of.features]
    fields += [pa.field("event_timestamp", INSTANT), pa.field("created_timestamp", INSTANT)]
    clocks = {"event_timestamp": at.as_of, "created_timestamp": at.known_at}
    return pa.Table.from_pylist(
        [{of.join_keys[0]: key, **values, **clocks} for key, values in members.items()],
        pa.schema(fields),
    )


def snapshot(
    brand: Brand, at: Watermark, views: Mapping[FeatureView, Mapping[str, Mapping[str, Any]]]
) -> None:
    """Commit one snapshot of these members to the brand's log."""
    log = FeatureLog(brand.log)
    reports = {of.name: log.append(of, rows(of, members, at), at) for of, members in views.items()}
    log.commit(at, "c1", reports)


def recut(log: Path, rows_in_a_group: int) -> None:
    """Rewrite a log's files with small row groups, as a log of millions has many."""
    for path in log.glob("member_*/*.parquet"):
        if pq.read_metadata(path).row_group(0).num_rows <= rows_in_a_group:
            continue
        pq.write_table(pq.read_table(path), path, row_group_size=rows_in_a_group)


def every(n: int) -> dict[str, Any]:
    """Values of `EVERY` that differ from member to member, with nulls, `[]` and `""` among them."""
    at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=n)
    values: dict[str, Any] = {
        "varchar": ["", None, f"channel {n}", "线上"][n % 4],
        "bigint": [0, None, -n, 2**53 + 1 + n][n % 4],
        "double": [0.0, None, n / 7, -1.5][n % 4],
        "boolean": [False, None, True][n % 3],
        "timestamptz": [None, at][n % 2],
        "varchar[]": [[], None, [""], ["rfm.champion", f"tag {n}"]][n % 4],
        "timestamptz[]": [[at, at], [], None][n % 3],
        "double[]": [None, [0.0, n / 3], []][n % 3],
        "bigint[]": [[], [1, -1, 300 * n], None][n % 3],
    }
    return {NAMES[kind]: value for kind, value in values.items()}
