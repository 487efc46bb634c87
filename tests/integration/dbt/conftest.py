"""A tiny lake from literal rows, and one `dbt build` over it.

`lake({"orders": [{...}]})` writes raw Parquet files as the ingest does and returns the brand's
folder; `dbt_build(folder, as_of=…)` builds the models there and returns what reads them. Both are
factories for fixtures of module scope: a build takes seconds, so one serves many tests.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.core.clock import iso
from pipelines.core.contracts import TABLES
from pipelines.core.contracts.base import KEY_SEPARATOR
from pipelines.core.home import DBT_PROJECT

Row = Mapping[str, Any]
Lake = Callable[..., Path]
Build = Callable[..., "Warehouse"]

TZ = "Asia/Shanghai"
INSTANT = pa.timestamp("us", tz="UTC")
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


@dataclass(frozen=True)
class Compiled:
    """The SQL of models as dbt compiled it for one pair of clocks, run on tables in memory.

    For properties over many small lakes: a run takes a fraction of a second, not dbt's seconds.
    """

    models: list[tuple[str, str, str]]  # schema, name, SQL; parents first
    clocks: tuple[str, str]

    def run(
        self, tables: Mapping[str, Sequence[Row]], as_of: datetime, knowledge_cutoff: datetime
    ) -> duckdb.DuckDBPyConnection:
        """A database with these raw rows and the models built for these clocks."""
        connection = duckdb.connect(config={"threads": 1})
        connection.execute("set timezone = 'UTC'; attach ':memory:' as warehouse; use warehouse")
        for table in TABLES:
            rows = arrow_table(table, tables.get(table, []), TZ, LONG_AGO)
            connection.register("rows", rows)
            connection.execute(f"create table raw_{table} as from rows")
        for schema, name, sql in self.models:
            text = re.sub(
                r"read_parquet\('[^']*/raw/(\w+)/[^']*', union_by_name=true\)", r"raw_\1", sql
            )
            for compiled, wanted in zip(self.clocks, (as_of, knowledge_cutoff), strict=True):
                text = text.replace(compiled, iso(wanted))
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create table {schema}.{name} as {text}")
        return connection


def schema_of(table: str) -> pa.Schema:
    """The schema of the table's file in the lake."""
    return pa.schema(list(RISK.items())) if table == "member_risk" else TABLES[table].schema


def _value(kind: pa.DataType, value: Any, tz: str) -> Any:
    """The value for Arrow; instants in UTC, for once pandera is imported Arrow drops offsets."""
    if isinstance(value, str) and pa.types.is_timestamp(kind):
        value = datetime.fromisoformat(value)
    if isinstance(value, str) and pa.types.is_date(kind):
        value = date.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=ZoneInfo(tz))
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _complete(table: str, number: int, row: Row, known_at: str) -> dict[str, Any]:
    contract = TABLES[table]
    full = {**DEFAULTS.get(table, {}), **row}
    if table == "members":
        full.setdefault("updated_at", full.get("joined_at", LONG_AGO))
    if table == "orders":
        full.setdefault("gross_minor", full["paid_minor"] + full["discount_minor"])
    if table == "order_lines":
        full.setdefault("line_net_minor", full["qty"] * full.get("unit_price_minor", 0))
    full.setdefault("source_system", "shop")
    full.setdefault("source_row_id", KEY_SEPARATOR.join(str(full[key]) for key in contract.key))
    full.setdefault("event_at", full.get(contract.happened))
    full.setdefault("known_at", known_at)
    full.setdefault("landing_day", str(full["known_at"])[:10])
    full.setdefault("source_file", f"{full['landing_day']}/{table}.csv.gz")
    full.setdefault("source_row", number)
    full.setdefault("is_deleted", False)
    text = json.dumps(dict(row), sort_keys=True, default=str)
    full.setdefault("row_hash", hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
    full.setdefault("load_id", "20000101T000000000000Z-00000000")
    return full


def arrow_table(table: str, rows: Sequence[Row], tz: str, known_at: str) -> pa.Table:
    """The rows, completed, as the table's files hold them."""
    schema = schema_of(table)
    if table != "member_risk":
        rows = [_complete(table, number, row, known_at) for number, row in enumerate(rows, 1)]
    unknown = {name for row in rows for name in row} - set(schema.names)
    assert not unknown, f"{table} has no column {sorted(unknown)}"
    arrays = [
        pa.array([_value(field.type, row.get(field.name), tz) for row in rows], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def write_table(folder: Path, table: str, rows: Sequence[Row], tz: str, known_at: str) -> None:
    """One table's files; a raw table has `_empty.parquet` beside its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "member_risk.parquet" if table == "member_risk" else "rows.parquet"
    pq.write_table(arrow_table(table, rows, tz, known_at), folder / name)
    if table != "member_risk":
        pq.write_table(schema_of(table).empty_table(), folder / "_empty.parquet")


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Write a brand's raw tables from literal rows and return the brand's folder.

    Texts without an offset are local times of `tz`. Every row is known since long ago unless it
    says otherwise. Tables that are not named are empty.
    """

    def write(tables: Mapping[str, Sequence[Row]], tz: str = TZ, known_at: str = LONG_AGO) -> Path:
        root = tmp_path_factory.mktemp("brand")
        assert set(tables) <= {*TABLES, "member_risk"}, "no such table"
        for table in TABLES:
            write_table(root / "lake" / "raw" / table, table, tables.get(table, []), tz, known_at)
        write_table(root / "scores", "member_risk", tables.get("member_risk", []), tz, known_at)
        return root

    return write


def run_dbt(root: Path, command: str, *words: str, **variables: Any) -> tuple[bool, str]:
    """Whether dbt succeeded on that brand, and what it said."""
    done = subprocess.run(
        [
            Path(sys.executable).parent / "dbt",
            *("--quiet", command, *words),
            *("--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT),
            *("--vars", json.dumps({"snapshot_id": "test", **variables})),
        ],
        env={
            **os.environ,
            "HUITOU_ROOT": str(root),
            "DBT_INDIRECT_SELECTION": "buildable",  # as the nightly job
            "DBT_TARGET_PATH": str(root / "target"),
            "DBT_LOG_PATH": str(root / "logs"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


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
        words = ["--select", *select.split(), "--exclude", *exclude.split()]
        succeeded, said = run_dbt(root, "build", *words, **clocks, **variables)
        assert not check or succeeded, said
        return Warehouse(root, root / "target")

    return build


@pytest.fixture(scope="session")
def dbt_compile(lake: Lake) -> Callable[..., Compiled]:
    """Compile the selected models and all they stand on, for runs in memory."""

    def compile_models(select: str, **variables: Any) -> Compiled:
        root = lake({})
        clocks = (iso(datetime(2001, 1, 1, tzinfo=UTC)), iso(datetime(2002, 2, 2, tzinfo=UTC)))
        named = dict(zip(("as_of", "knowledge_cutoff"), clocks, strict=True))
        words = ["--select", *(f"+{name}" for name in select.split())]
        succeeded, said = run_dbt(root, "compile", *words, **named, **variables)
        assert succeeded, said
        manifest = json.loads((root / "target" / "manifest.json").read_text(encoding="utf-8"))
        nodes = {
            key: node
            for key, node in manifest["nodes"].items()
            if node["resource_type"] == "model" and node.get("compiled_code")
        }
        parents = {
            key: set(node["depends_on"]["nodes"]) & set(nodes) for key, node in nodes.items()
        }
        order = TopologicalSorter(parents).static_order()
        models = [(n["schema"], n["name"], n["compiled_code"]) for n in map(nodes.get, order) if n]
        return Compiled(models, clocks)

    return compile_models


@pytest.fixture(scope="session")
def dbt_inline() -> Callable[..., str]:
    """Compile a text that is no model, such as a macro's call, and return its SQL."""

    def compile_text(root: Path, text: str, **variables: Any) -> str:
        words = ["--inline", text, "--output", "json"]
        succeeded, said = run_dbt(root, "compile", *words, **variables)
        assert succeeded, said
        return str(json.loads(said[said.index("{") : said.rindex("}") + 1])["compiled"])

    return compile_text
