"""A tiny lake from literal rows, and one `dbt build` over it.

`lake({"orders": [{...}]})` writes raw Parquet files as the ingest does and returns the brand's
folder; `dbt_build(folder, as_of=…)` builds the models there and returns what reads them. Both are
factories for fixtures of module scope: a build takes seconds, so one serves many tests.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines.core.clock import iso
from pipelines.core.home import DBT_PROJECT

Row = Mapping[str, Any]
Lake = Callable[..., Path]
Build = Callable[..., "Warehouse"]

TZ = "Asia/Shanghai"
INSTANT = pa.timestamp("us", tz="UTC")
TYPES: dict[str, pa.DataType] = {
    "varchar": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": INSTANT,
    "varchar[]": pa.list_(pa.string()),
    "date[]": pa.list_(pa.date32()),
}
COMMON = {
    "source_system": pa.string(),
    "source_row_id": pa.string(),
    "event_at": INSTANT,
    "known_at": INSTANT,
    "landing_day": pa.date32(),
    "source_file": pa.string(),
    "source_row": pa.int64(),
    "is_deleted": pa.bool_(),
    "row_hash": pa.string(),
    "load_id": pa.string(),
}
RISK = {
    "member_id": pa.string(),
    "p_churn_90d": pa.float64(),
    "p_buy_30d": pa.float64(),
    "p_second_purchase_60d": pa.float64(),
    "expected_next_order_at": INSTANT,
    "expected_next_order_lo": INSTANT,
    "expected_next_order_hi": INSTANT,
    "predicted_net_365d_minor": pa.int64(),
    "reasons": pa.list_(pa.string()),
    "basis": pa.string(),
    "model_version": pa.string(),
    "scored_at": INSTANT,
}
#: Of each table: the columns that name a row, and the column that says when it happened.
KEYS = {
    "members": (["member_id"], "joined_at"),
    "products": (["sku_id"], "launched_at"),
    "stores": (["store_id"], "opened_at"),
    "orders": (["order_id"], "ordered_at"),
    "order_lines": (["order_line_id"], ""),
    "refunds": (["refund_id"], "refunded_at"),
    "surveys": (["survey_id", "version"], ""),
    "survey_questions": (["survey_id", "version", "question_id"], ""),
    "survey_answers": (["answer_id"], "answered_at"),
    "coupon_templates": (["template_id"], ""),
    "coupon_issues": (["issue_id"], "issued_at"),
    "coupon_redemptions": (["redemption_id"], "redeemed_at"),
    "consents": (["member_id", "purpose", "at"], "at"),
}
#: What a literal row need not say.
DEFAULTS: dict[str, dict[str, Any]] = {
    "members": {"member_type": "consumer", "status": "active", "join_type": "free"},
    "orders": {
        "status": "completed",
        "channel": "store",
        "discount_minor": 0,
        "currency": "CNY",
        "order_kind": "normal",
        "identified_by": "scan",
    },
    "order_lines": {"qty": 1, "line_discount_minor": 0, "is_gift": False},
    "refunds": {"kind": "return", "reason_code": "no_reason"},
    "coupon_redemptions": {"discount_minor": 0},
}
LONG_AGO = "2000-01-01 00:00"


@dataclass(frozen=True)
class Warehouse:
    """What a build left: the models, read only, and dbt's own results."""

    root: Path
    target: Path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query; instants come back in UTC."""
        with duckdb.connect(str(self.root / "warehouse.duckdb"), read_only=True) as warehouse:
            warehouse.execute("set timezone = 'UTC'")
            return warehouse.execute(sql).fetchall()

    def column(self, sql: str) -> list[Any]:
        """The first column of a query."""
        return [row[0] for row in self.rows(sql)]

    def by_key(self, sql: str) -> dict[Any, tuple[Any, ...]]:
        """The rows of a query by their first column."""
        found = self.rows(sql)
        assert len({row[0] for row in found}) == len(found), "the first column is not a key"
        return {row[0]: row[1:] for row in found}

    def results(self) -> dict[str, str]:
        """Status of each model and test of the build by its name."""
        results = json.loads((self.target / "run_results.json").read_text(encoding="utf-8"))
        return {result["unique_id"]: result["status"] for result in results["results"]}


@cache
def schema_of(table: str) -> pa.Schema:
    """The raw file's schema: common columns, then those that staging reads."""
    if table == "member_risk":
        return pa.schema(list(RISK.items()))
    path = DBT_PROJECT / "models" / "staging" / f"stg_{table}.yml"
    columns = yaml.safe_load(path.read_text(encoding="utf-8"))["models"][0]["columns"]
    own = {
        {"stated_at": "at"}.get(column["name"], column["name"]): TYPES[column["data_type"]]
        for column in columns
        if column["name"] not in COMMON
    }
    return pa.schema(list(COMMON.items()) + list(own.items()))


def _value(kind: pa.DataType, value: Any, tz: str) -> Any:
    if isinstance(value, str) and pa.types.is_timestamp(kind):
        value = datetime.fromisoformat(value)
    if isinstance(value, str) and pa.types.is_date(kind):
        value = date.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=ZoneInfo(tz))
    return value


def _complete(table: str, number: int, row: Row, known_at: str) -> dict[str, Any]:
    keys, event_at = KEYS[table]
    full = {**DEFAULTS.get(table, {}), **row}
    if table == "members":
        full.setdefault("updated_at", full.get("joined_at", LONG_AGO))
    if table == "orders":
        full.setdefault("gross_minor", full["paid_minor"] + full["discount_minor"])
    if table == "order_lines":
        full.setdefault("line_net_minor", full["qty"] * full.get("unit_price_minor", 0))
    full.setdefault("source_system", "shop")
    full.setdefault("source_row_id", "|".join(str(full[key]) for key in keys))
    full.setdefault("event_at", full.get(event_at) or LONG_AGO)
    full.setdefault("known_at", known_at)
    full.setdefault("landing_day", str(full["known_at"])[:10])
    full.setdefault("source_file", f"{full['landing_day']}/{table}.csv.gz")
    full.setdefault("source_row", number)
    full.setdefault("is_deleted", False)
    text = json.dumps(dict(row), sort_keys=True, default=str)
    full.setdefault("row_hash", hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
    full.setdefault("load_id", "20000101T000000000000Z-00000000")
    return full


def write_table(folder: Path, table: str, rows: Sequence[Row], tz: str, known_at: str) -> None:
    """One table's files: `_empty.parquet`, and the rows if there are any."""
    schema = schema_of(table)
    folder.mkdir(parents=True, exist_ok=True)
    if table != "member_risk":
        rows = [_complete(table, number, row, known_at) for number, row in enumerate(rows, 1)]
        pq.write_table(schema.empty_table(), folder / "_empty.parquet")
    unknown = {name for row in rows for name in row} - set(schema.names)
    assert not unknown, f"{table} has no column {sorted(unknown)}"
    arrays = [
        pa.array([_value(field.type, row.get(field.name), tz) for row in rows], field.type)
        for field in schema
    ]
    name = "member_risk.parquet" if table == "member_risk" else "rows.parquet"
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), folder / name)


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Write a brand's raw tables from literal rows and return the brand's folder.

    Texts without an offset are local times of `tz`. Every row is known since long ago unless it
    says otherwise. Tables that are not named are empty.
    """

    def write(tables: Mapping[str, Sequence[Row]], tz: str = TZ, known_at: str = LONG_AGO) -> Path:
        root = tmp_path_factory.mktemp("brand")
        assert set(tables) <= {*KEYS, "member_risk"}, "no such table"
        for table in KEYS:
            write_table(root / "lake" / "raw" / table, table, tables.get(table, []), tz, known_at)
        write_table(root / "scores", "member_risk", tables.get("member_risk", []), tz, known_at)
        return root

    return write


@pytest.fixture(scope="session")
def dbt_build() -> Build:
    """Build models and run their data tests for the two clocks given; return the warehouse.

    Clocks without an offset are local times of `business_tz`. The build must succeed unless
    `check=False`.
    """

    def build(
        root: Path,
        as_of: str,
        knowledge_cutoff: str = "2100-01-01 00:00",
        select: str = "staging intermediate marts features",
        exclude: str = "resource_type:unit_test",
        check: bool = True,
        **variables: Any,
    ) -> Warehouse:
        tz = ZoneInfo(variables.get("business_tz", TZ))
        clocks = {"as_of": as_of, "knowledge_cutoff": knowledge_cutoff}
        for name, text in clocks.items():
            at = datetime.fromisoformat(text)
            clocks[name] = iso((at if at.tzinfo else at.replace(tzinfo=tz)).astimezone(UTC))
        target = root / "target"
        done = subprocess.run(
            [Path(sys.executable).parent / "dbt", "--quiet", "build"]
            + ["--select", *select.split(), "--exclude", *exclude.split()]
            + ["--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT]
            + ["--vars", json.dumps({"snapshot_id": "test", **clocks, **variables})],
            env={
                **os.environ,
                "HUITOU_ROOT": str(root),
                "DBT_TARGET_PATH": str(target),
                "DBT_LOG_PATH": str(root / "logs"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return Warehouse(root, target)

    return build
