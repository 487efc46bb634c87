"""The lake's files: what has no manifest never happened."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.core import lake
from pipelines.core.contracts import TABLES
from pipelines.core.home import Brand

AT = datetime(2025, 3, 1, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return Brand(tmp_path / "brands" / "one")


def manifest(load_id: str, table: str = "orders", source: str = "till") -> lake.Manifest:
    entry = lake.FileEntry("a.csv", "00", "map_orders", False, "2025-03-01", 3, 3, 2, 2, 0, 1)
    failed = lake.FailedFile("b.csv", "map_orders", None, "empty_file", "no bytes", "land again")
    return lake.Manifest(
        load_id, table, source, "2025-03-01T04:05:06.000007Z", "load", [entry], [failed]
    )


def test_a_load_id_sorts_by_time_and_is_the_same_for_the_same_inputs() -> None:
    first = lake.new_load_id(AT, "till", "orders", ["a", "b"])
    assert first.startswith("20250301T040506000007Z-")
    assert len(first.split("-")[1]) == 8
    assert first == lake.new_load_id(AT, "till", "orders", ["b", "a"])
    assert first != lake.new_load_id(AT, "till", "orders", ["a"])
    assert first != lake.new_load_id(AT, "shop", "orders", ["a", "b"])


def test_a_manifest_reads_back_as_it_was_written(brand: Brand) -> None:
    lake.commit(brand, manifest("1"))
    assert lake.manifests(brand) == [manifest("1")]
    assert lake.manifests(brand, "orders", "till") == [manifest("1")]
    assert lake.manifests(brand, "members") == lake.manifests(brand, source="shop") == []
    assert lake.manifests(brand)[0].instant == AT


def test_the_sweep_removes_what_never_committed_and_nothing_else(brand: Brand) -> None:
    lake.prepare(brand)
    lake.commit(brand, manifest("done"))
    empty = TABLES["orders"].schema.empty_table()
    for name in ("done", "died"):
        lake.write_table(lake.raw_file(brand, "orders", name), empty)
        lake.write_table(lake.quarantine_file(brand, "orders", name), empty)
        lake.write_table(lake.resolved_file(brand, "orders", name), empty)
    half = brand.raw / "orders" / ".died.parquet.x1.tmp"
    half.write_bytes(b"half")
    other = lake.raw_file(brand, "members", "died")
    lake.write_table(other, empty)

    assert lake.raw_files(brand, "orders") == [lake.raw_file(brand, "orders", "done")]
    removed = lake.sweep(brand, "orders")
    assert sorted(path.name for path in removed) == [half.name, *["died.parquet"] * 3]
    assert other.exists()
    assert (brand.raw / "orders" / lake.EMPTY).exists()
    assert lake.sweep(brand, "orders") == []


def test_the_empty_file_follows_the_contract(brand: Brand) -> None:
    path = brand.raw / "orders" / lake.EMPTY
    lake.write_table(path, TABLES["members"].schema.empty_table())
    lake.prepare(brand)
    assert pq.read_schema(path).equals(TABLES["orders"].schema)
    before = path.stat().st_mtime_ns
    lake.prepare(brand)
    assert path.stat().st_mtime_ns == before
