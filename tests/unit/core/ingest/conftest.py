"""A brand and a landing folder in a temporary place, and a small source with all kinds of feeds."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest

from pipelines.adapters.mapping import first_record
from pipelines.core import lake
from pipelines.core.home import Brand
from pipelines.core.ingest import LoadReport, load
from pipelines.core.source import Adapter, Feed, Files

COLUMNS = ("bill", "line", "sku", "qty", "amount", "sold_at", "kind")
TILL_FILES = Files(
    ("*.csv", "*.csv.gz", "*.parquet"),
    {
        "bill": pl.String(),
        "line": pl.Int64(),
        "sku": pl.String(),
        "qty": pl.Int64(),
        "amount": pl.Int64(),
        "sold_at": pl.Datetime("us", "UTC"),
        "kind": pl.String(),
    },
)
FIRST_DAY = date(2025, 3, 1)
FIRST_LOAD = datetime(2025, 4, 1, tzinfo=UTC)


class Till(Adapter):
    """Lines of a till: sales, returns (kind R), and the bills that the sales belong to."""

    name = "till"
    business_tz = "Asia/Shanghai"
    currency = "CNY"
    feeds = (
        Feed("order_lines", TILL_FILES),
        Feed("refunds", TILL_FILES, where=pl.col("kind") == "R"),
        Feed("orders", TILL_FILES, derived=True),
    )
    reasons: ClassVar = {"training": "train on another till"}

    def landing_day(self, path: str) -> date | None:
        return date.fromisoformat(path[:10])

    def map_order_lines(self, records: pl.DataFrame) -> pl.DataFrame:
        return records.select(
            "_file",
            "_row",
            order_line_id=pl.format("{}/{}", "bill", "line"),
            order_id="bill",
            sku_id="sku",
            qty="qty",
            unit_price_minor="amount",
            line_net_minor=pl.col("amount") * pl.col("qty"),
            _reject=pl.when(pl.col("kind") == "T").then(pl.lit("training")),
        )

    def map_refunds(self, records: pl.DataFrame) -> pl.DataFrame:
        return records.select(
            "_file",
            "_row",
            refund_id=pl.format("{}/{}", "bill", "line"),
            order_id="bill",
            refunded_at="sold_at",
            amount_minor="amount",
        )

    def map_orders(self, records: pl.DataFrame) -> pl.DataFrame:
        total = (pl.col("amount") * pl.col("qty")).sum()
        return (
            records.filter(pl.col("kind") == "S")
            .group_by("_file", order_id="bill", maintain_order=True)
            .agg(first_record()[1], ordered_at=pl.col("sold_at").first(), gross_minor=total)
            .with_columns(
                channel=pl.lit("store"),
                discount_minor=pl.lit(0),
                paid_minor="gross_minor",
                currency=pl.lit("CNY"),
            )
        )


@dataclass
class Shelf:
    """A landing folder, the brand it is loaded into, and a clock that moves with each load."""

    brand: Brand
    landing: Path
    adapter: Adapter = field(default_factory=Till)
    loads: int = 0

    def put(self, name: str, records: Sequence[str | bytes], header: str | None = None) -> Path:
        """Write a landing file of these lines; `.gz` by its name."""
        lines = [(",".join(COLUMNS) if header is None else header), *records]
        raw = b"\n".join(r if isinstance(r, bytes) else r.encode() for r in lines) + b"\n"
        return self.write(name, gzip.compress(raw, mtime=0) if name.endswith(".gz") else raw)

    def write(self, name: str, content: bytes) -> Path:
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def now(self) -> datetime:
        return FIRST_LOAD + timedelta(days=self.loads)

    def load(
        self, table: str, last: date = date(2025, 3, 31), first: date = FIRST_DAY
    ) -> LoadReport:
        """Load the table a day after the load before."""
        self.loads += 1
        return load(self.brand, self.adapter, table, self.landing, (first, last), self.now())

    def raw(self, table: str) -> pl.DataFrame:
        """All raw rows of the table, in the order of their versions."""
        return pl.read_parquet(self.brand.raw / table / "*.parquet").sort(
            "known_at", "landing_day", "source_file", "source_row"
        )

    def held(self, table: str) -> pl.DataFrame:
        """All quarantined rows of the table, replayed or not."""
        return pl.read_parquet(self.brand.quarantine / table / "*.parquet").sort(
            "source_file", "source_row"
        )


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "landing").mkdir()
    return Shelf(Brand(tmp_path / "brands" / "till"), tmp_path / "landing")


@pytest.fixture
def shelves(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Shelf]:
    """Makes fresh shelves, for tests that need one for each of many examples."""
    template = tmp_path_factory.mktemp("template")
    lake.prepare(Brand(template))

    def make() -> Shelf:
        root = tmp_path_factory.mktemp("shelf")
        (root / "landing").mkdir()
        shutil.copytree(template, root / "brands" / "till")
        return Shelf(Brand(root / "brands" / "till"), root / "landing")

    return make


@pytest.fixture(scope="session")
def sale() -> Callable[..., str]:
    """A line of a landing file; name the cells that matter."""

    def line(**cells: object) -> str:
        usual = {
            "bill": "b1",
            "line": 1,
            "sku": "tea",
            "qty": 2,
            "amount": 500,
            "sold_at": "2025-03-01T10:00:00+08:00",
            "kind": "S",
        }
        return ",".join(str({**usual, **cells}[name]) for name in COLUMNS)

    return line
