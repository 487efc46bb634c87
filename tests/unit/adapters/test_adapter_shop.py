"""The shop's files land as they are."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pipelines import adapters
from pipelines.core.contracts import TABLES
from pipelines.core.home import Brand
from pipelines.core.ingest import load

Loaded = Callable[..., Any]
DAYS = date(2025, 3, 1), date(2025, 3, 31)


def write(landing: Path, day: str, table: str, *rows: dict[str, str]) -> None:
    columns = [*TABLES[table].columns, "is_deleted"]
    lines = [",".join(columns)]
    for row in rows:
        cells = {"is_deleted": "false", **row}
        assert set(cells) <= set(columns)
        quoted = [cells.get(name, "").replace('"', '""') for name in columns]
        lines.append(",".join(f'"{cell}"' if cell else "" for cell in quoted))
    path = landing / day / f"{table}.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode(), mtime=0))


def test_types_lists_nulls_and_deletions_arrive(loaded: Loaded, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    product = {
        "sku_id": "s1",
        "name_zh": "烏龍茶, 大",
        "category_l1": "tea",
        "days_per_unit": "12.5",
        "scenario_codes": '["outdoor","home"]',
        "hero_dates": '["2025-03-08"]',
        "launched_at": "2025-03-01T09:15:00.123456+08:00",
    }
    write(landing, "2025-03-01", "products", product, {"sku_id": "s2", "category_l1": "x"})
    write(landing, "2025-03-02", "products", {**product, "is_deleted": "true"})
    lake = loaded("shop", {})
    rows = lake.rows(
        "products", "sku_id", "name_zh", "days_per_unit", "scenario_codes", "hero_dates"
    )
    whole = ("s1", "烏龍茶, 大", 12.5, ["outdoor", "home"], [date(2025, 3, 8)])
    assert rows == [whole, whole, ("s2", None, None, None, None)]
    assert lake.rows("products", "is_deleted", "landing_day") == [
        (False, date(2025, 3, 1)),
        (True, date(2025, 3, 2)),
        (False, date(2025, 3, 1)),
    ]
    assert lake.rows("products", "event_at")[0] == datetime(2025, 3, 1, 1, 15, 0, 123456, UTC)


def test_the_landing_day_is_the_folder(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    consent = {
        "member_id": "m1",
        "purpose": "marketing",
        "state": "granted",
        "at": "2025-03-01T23:30:00+08:00",
    }
    write(landing, "2025-03-01", "consents", consent)
    write(landing, "2025-03-02", "consents", {**consent, "state": "withdrawn"})
    brand, shop = Brand(tmp_path / "brands" / "shop"), adapters.get("shop")
    day = date(2025, 3, 2)
    report = load(brand, shop, "consents", landing, (day, day), datetime(2025, 4, 1, tzinfo=UTC))
    assert [f.path for f in report.files] == ["2025-03-02/consents.csv.gz"]
