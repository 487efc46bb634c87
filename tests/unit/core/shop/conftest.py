"""Two small shops, drawn once: one whose exports are clean, one whose are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.core.shop import Dirt, ShopConfig, ShopReport, generate

CLEAN = ShopConfig(members=1500, days=400, seed=11, dirt=Dirt.none())
DIRTY = ShopConfig(
    members=1000, days=100, seed=12, dirt=Dirt(0.03, 0.06, 0.05, 0.12), opening_share=0.9
)


@dataclass(frozen=True)
class Drawn:
    """A shop on disk, what it reported, and its files as tables of a DuckDB connection."""

    folder: Path
    report: ShopReport
    db: duckdb.DuckDBPyConnection

    def one(self, query: str) -> Any:
        """The single value a query gives."""
        row = self.db.execute(query).fetchone()
        assert row is not None
        return row[0]


def drawn(config: ShopConfig, folder: Path) -> Drawn:
    """Draw the shop; every table becomes one of text columns with `day`, the landing day."""
    report = generate(config, folder)
    db = duckdb.connect(config={"threads": 2})
    for table in report.rows:
        db.execute(
            f"create table {table} as select *, split_part(filename, '/', -2)::date as day "
            f"from read_csv('{folder}/landing/*/{table}.csv.gz', all_varchar=true, header=true, "
            "filename=true, quote='\"', escape='\"', strict_mode=true)"
        )
    for path in (folder / "truth").iterdir():
        db.execute(f"create view truth_{path.stem} as select * from '{path}'")
    return Drawn(folder, report, db)


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """A shop without dirt; `latest_orders` and `latest_lines` hold each row's last version."""
    shop = drawn(CLEAN, tmp_path_factory.mktemp("shop") / "clean")
    for table, key in (("orders", "order_id"), ("coupon_redemptions", "redemption_id")):
        shop.db.execute(
            f"create table latest_{table} as select * from {table} "
            f"qualify row_number() over (partition by {key} order by day desc) = 1"
        )
    return shop


@pytest.fixture(scope="session")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """A shop with plenty of dirt of every kind."""
    return drawn(DIRTY, tmp_path_factory.mktemp("shop") / "dirty")
