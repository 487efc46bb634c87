"""The folded history holds what its days held, in the order they landed."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pyarrow.csv as pv

from pipelines.core.shop.extract import fold


def land(landing: Path, day: str, table: str, *rows: str) -> None:
    (landing / day).mkdir(parents=True, exist_ok=True)
    text = "\n".join(["order_id,status", *rows, ""])
    (landing / day / f"{table}.csv.gz").write_bytes(gzip.compress(text.encode()))


def test_days_up_to_the_day_become_one_file_a_table_in_landing_order(tmp_path: Path) -> None:
    land(tmp_path, "2025-01-01", "orders", "A,paid", '"B\n2",paid')
    land(tmp_path, "2025-01-02", "refunds", "R,x")
    land(tmp_path, "2025-01-03", "orders", "A,completed")
    land(tmp_path, "2025-01-04", "orders", "C,paid")

    assert fold(tmp_path, date(2025, 1, 3)) == 3

    assert sorted(f.name for f in tmp_path.iterdir()) == ["2025-01-03", "2025-01-04"]
    parse = pv.ParseOptions(newlines_in_values=True)
    orders = pv.read_csv(tmp_path / "2025-01-03" / "orders.csv.gz", parse_options=parse)
    assert orders.to_pydict() == {
        "order_id": ["A", "B\n2", "A"],
        "status": ["paid", "paid", "completed"],
    }
    assert pv.read_csv(tmp_path / "2025-01-03" / "refunds.csv.gz").num_rows == 1


def test_folding_twice_changes_nothing(tmp_path: Path) -> None:
    land(tmp_path, "2025-01-01", "orders", "A,paid")
    land(tmp_path, "2025-01-02", "orders", "B,paid")
    fold(tmp_path, date(2025, 1, 2))
    with gzip.open(tmp_path / "2025-01-02" / "orders.csv.gz") as stream:
        text = stream.read()

    fold(tmp_path, date(2025, 1, 2))

    with gzip.open(tmp_path / "2025-01-02" / "orders.csv.gz") as stream:
        assert stream.read() == text
